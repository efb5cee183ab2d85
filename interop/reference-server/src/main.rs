//! A TaskChampion sync server for tests, made of the published crates.
//!
//! `taskchampion-sync-server-core` decides and `taskchampion-sync-server-storage-sqlite` stores; no
//! crate is published that speaks HTTP, so [`http`] does that after section 7 of the protocol page.
//! What a client sees is therefore the reference server's behaviour except for the HTTP layer
//! itself, which is ours.
//!
//! The program prints `listening ADDRESS:PORT` once it accepts connections, and ends when its
//! standard input does, so that a test that dies takes its server along.

mod arguments;
mod chain;
mod http;

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use arguments::Arguments;
use chain::Chain;

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(reason) => {
            eprintln!("{reason}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until standard input ends.
fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let chain = Arc::new(Chain::open(
        &arguments.data_dir,
        arguments.snapshots,
        arguments.clients,
    )?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let listener = runtime.block_on(TcpListener::bind(&arguments.listen))?;
    let address = listener.local_addr()?;
    runtime.spawn(accept(listener, chain));

    let mut output = io::stdout().lock();
    writeln!(output, "listening {address}")?;
    output.flush()?;

    let mut input = io::stdin().lock();
    let mut ignored = [0; 1024];
    while input.read(&mut ignored)? > 0 {}
    // Storage work under way either has committed or leaves nothing behind; nobody waits for it.
    runtime.shutdown_background();
    Ok(())
}

/// Takes connections for ever, each served by a task of its own.
async fn accept(listener: TcpListener, chain: Arc<Chain>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                eprintln!("connection not accepted: {error}");
                continue;
            }
        };
        // Without this a small answer may wait for the acknowledgement of the one before.
        if let Err(error) = stream.set_nodelay(true) {
            eprintln!("connection keeps delaying: {error}");
        }
        let chain = Arc::clone(&chain);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let chain = Arc::clone(&chain);
                async move { Ok::<_, Infallible>(http::answer(chain, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                eprintln!("connection broke: {error}");
            }
        });
    }
}
