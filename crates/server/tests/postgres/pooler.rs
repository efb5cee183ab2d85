//! A pooler in between that gives each transaction whichever connection to PostgreSQL is free, as
//! PgBouncer does with `pool_mode=transaction`. This one has a single connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use tandem_server::store::PostgresStore;
use tandem_server::store::postgres::OpenError;
use tandem_server::testing::Cluster;

use crate::at;

/// The longest message that is passed on, in bytes.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Version 3.0 of the protocol, which begins a session; anything else at the beginning asks for more.
const VERSION: [u8; 4] = [0, 3, 0, 0];

/// What follows a length that counts itself.
fn body(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap();
    assert!((4..=MESSAGE_BYTES_MAX).contains(&length));
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// A message with its kind, as it came.
fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    let body = body(stream)?;
    let length = u32::try_from(body.len() + 4).unwrap();
    Ok([&kind[..], &length.to_be_bytes(), &body].concat())
}

/// All messages up to one of these kinds.
fn messages(stream: &mut TcpStream, ends: &[u8]) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let one = message(stream)?;
        let is_last = ends.contains(&one[0]);
        all.extend(one);
        if is_last {
            return Ok(all);
        }
    }
}

/// A session of somebody who asks: their transactions, one by one, over the connection that all have.
fn serve(client: &mut TcpStream, shared: &Mutex<TcpStream>, greeting: &[u8]) -> io::Result<()> {
    while body(client)?[..4] != VERSION {
        client.write_all(b"N")?;
    }
    client.write_all(greeting)?;
    loop {
        // A query, or what was prepared and is to be carried out now; `X` is a goodbye.
        let mut asked = messages(client, b"QSX")?;
        if asked[0] == b'X' {
            return Ok(());
        }
        let mut database = shared.lock().unwrap();
        loop {
            database.write_all(&asked)?;
            let answer = messages(&mut database, b"Z")?;
            client.write_all(&answer)?;
            // Its last byte: whether a transaction is open.
            if answer.ends_with(b"I") {
                break;
            }
            asked = messages(client, b"QS")?;
        }
    }
}

/// The port of a pooler in front of a database of the cluster.
fn pooler(cluster: &Cluster, name: &str) -> u16 {
    cluster.database(name);
    let mut database = TcpStream::connect(("127.0.0.1", cluster.port())).unwrap();
    let words = [&VERSION[..], b"user\0tandem\0database\0", name.as_bytes(), b"\0\0"].concat();
    let length = u32::try_from(words.len() + 4).unwrap();
    database.write_all(&[&length.to_be_bytes()[..], &words].concat()).unwrap();
    let greeting: Arc<[u8]> = messages(&mut database, b"Z").unwrap().into();
    let database = Arc::new(Mutex::new(database));
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, greeting) = (client.unwrap(), Arc::clone(&greeting));
            let database = Arc::clone(&database);
            std::thread::spawn(move || {
                // Whoever went away has said enough.
                let _ = serve(&mut client, &database, &greeting);
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pooler_that_does_not_keep_sessions_is_refused_before_anything_is_made() {
    let cluster = Cluster::shared();
    let port = pooler(&cluster, "pooled");
    let database = at(format!("postgres://tandem@127.0.0.1:{port}/pooled?sslmode=disable"));
    let error = PostgresStore::open(&database).await.unwrap_err();
    assert!(matches!(error, OpenError::NoSessions { .. }), "{error}");
    assert_eq!(cluster.sql("pooled", "SELECT to_regnamespace('tandem')"), "", "nothing was made");
    PostgresStore::open(&at(cluster.database("pooled"))).await.unwrap();
}
