//! Connections: accepted, limited, and ended without cutting off a request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Site;
use super::places::{Places, Sign};
use super::stalling::Stalling;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::server::stopped;
use crate::tls::Tls;

/// How long accepting rests after it failed: most often the process has no file left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// What every connection of a listener comes through.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) site: Arc<Site>,
    pub(crate) limits: Limits,
    pub(crate) places: Arc<Places>,
    /// If TLS is spoken here.
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Serves one listener until `stop` turns true, then until the requests under way are answered or
/// their time is over.
pub(crate) async fn serve(listener: TcpListener, door: Door, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        match stream {
            Ok((stream, peer)) => {
                let place = tokio::select! {
                    place = door.places.take(peer.ip()) => place,
                    () = stopped(&mut stop) => break,
                };
                let Some(place) = place else {
                    tracing::debug!(%peer, "an address has too many connections");
                    continue;
                };
                let (door, stop) = (door.clone(), stop.clone());
                connections.spawn(async move {
                    door.metrics.connections.inc();
                    connection(stream, peer, &door, &place.sign, stop).await;
                    door.metrics.connections.dec();
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_REST).await;
            }
        }
    }
    // No new ones; those that are idle end at once, the others after their answer.
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(door.limits.stop_time_max, all).await.is_err() {
        tracing::warn!("some requests were cut off, since the time for them was over");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    door: &Door,
    sign: &Arc<Sign>,
    mut stop: watch::Receiver<bool>,
) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let stream = Stalling::new(stream, &door.limits);
    let Some(tls) = &door.tls else { return requests(stream, peer, door, sign, stop).await };
    let handshake = timeout(door.limits.head_time_max, tls.acceptor().accept(stream));
    let shaken = tokio::select! {
        shaken = handshake => shaken,
        () = stopped(&mut stop) => return,
        () = sign.left() => return,
    };
    match shaken {
        Ok(Ok(stream)) => requests(stream, peer, door, sign, stop).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection spoke no TLS that is spoken here"),
        Err(_) => tracing::debug!("a connection took too long for its handshake"),
    }
}

async fn requests(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    door: &Door,
    sign: &Arc<Sign>,
    mut stop: watch::Receiver<bool>,
) {
    let limits = &door.limits;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time_max)
        .max_headers(limits.headers_max)
        .max_buf_size(limits.head_bytes_max);
    let service = service_fn(|request: Request<Incoming>| {
        sign.use_it();
        let site = Arc::clone(&door.site);
        async move { Ok::<_, Infallible>(site.answer(peer.ip(), request.map(Body::new)).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = sign.left() => {
            if !sign.has_asked() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Lines break, and people stop programs.
        tracing::debug!(%error, "a connection ended early");
    }
}
