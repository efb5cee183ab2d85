//! An HTTP server that answers what a test tells it to, byte by byte if need be.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Which connection brought it, counted from 0.
    pub(crate) connection: usize,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What to do with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Send these bytes and keep the connection.
    Keep(Vec<u8>),
    /// Send these bytes and close.
    Close(Vec<u8>),
    /// Send the first bytes at once and the rest one by one, with this wait before each.
    Drip(Vec<u8>, Vec<u8>, Duration),
    /// Say nothing until the test ends.
    Hang,
}

/// A well-formed answer.
pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = head(status, headers);
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The beginning of an answer, without the empty line.
pub(crate) fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Whatever\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text.into_bytes()
}

pub(crate) fn keep(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    Reply::Keep(response(status, headers, body))
}

type Handler = Box<dyn FnMut(&Received) -> Reply + Send>;

pub(crate) trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// The server. Closes when it is dropped.
pub(crate) struct Scripted {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    handler: Mutex<Handler>,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    is_over: AtomicBool,
}

impl Scripted {
    pub(crate) fn new(handler: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        Self::with_wrapper(|stream| Box::new(stream), handler)
    }

    /// Answers everything with the same.
    pub(crate) fn always(reply: Reply) -> Self {
        Self::new(move |_| reply.clone())
    }

    pub(crate) fn with_wrapper(
        wrap: impl Fn(TcpStream) -> Box<dyn Stream> + Send + Sync + 'static,
        handler: impl FnMut(&Received) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            handler: Mutex::new(Box::new(handler)),
            received: Mutex::default(),
            connections: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let inner = Arc::clone(&shared);
        let wrap = Arc::new(wrap);
        let acceptor = std::thread::spawn(move || {
            let mut workers = Vec::new();
            for stream in listener.incoming() {
                if inner.is_over.load(Ordering::SeqCst) {
                    break;
                }
                let (stream, shared, wrap) =
                    (stream.unwrap(), Arc::clone(&inner), Arc::clone(&wrap));
                stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                stream.set_nodelay(true).unwrap();
                workers.push(std::thread::spawn(move || shared.serve(wrap(stream))));
            }
            for worker in workers {
                let _ = worker.join();
            }
        });
        Self { address, shared, acceptor: Some(acceptor) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the one who waits for connections.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: Box<dyn Stream>) {
        let connection = self.connections.fetch_add(1, Ordering::SeqCst);
        let mut buffer = Vec::new();
        while let Some(mut received) = self.read_request(&mut stream, &mut buffer) {
            received.connection = connection;
            self.received.lock().unwrap().push(received.clone());
            let reply = (self.handler.lock().unwrap())(&received);
            let is_kept = match reply {
                Reply::Keep(bytes) => stream.write_all(&bytes).is_ok(),
                Reply::Close(bytes) => {
                    let _ = stream.write_all(&bytes);
                    false
                }
                Reply::Drip(first, rest, wait) => {
                    let _ = stream.write_all(&first);
                    for byte in rest {
                        std::thread::sleep(wait);
                        if self.is_over() || stream.write_all(&[byte]).is_err() {
                            return;
                        }
                        let _ = stream.flush();
                    }
                    true
                }
                Reply::Hang => {
                    while !self.is_over() {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    false
                }
            };
            let _ = stream.flush();
            if !is_kept {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// The next request; none when the other side has closed or the test is over.
    fn read_request(&self, stream: &mut dyn Stream, buffer: &mut Vec<u8>) -> Option<Received> {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.fill(stream, buffer)?;
        };
        let text = String::from_utf8(buffer.drain(..end).collect()).unwrap();
        let mut lines = text.lines();
        let mut first = lines.next()?.split(' ');
        let mut received = Received {
            method: first.next()?.to_owned(),
            path: first.next()?.to_owned(),
            ..Received::default()
        };
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            received.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = received.header("content-length").map_or(0, |text| text.parse().unwrap());
        while buffer.len() < length {
            self.fill(stream, buffer)?;
        }
        received.body = buffer.drain(..length).collect();
        Some(received)
    }

    fn fill(&self, stream: &mut dyn Stream, buffer: &mut Vec<u8>) -> Option<()> {
        let mut bytes = [0; 16 * 1024];
        loop {
            match stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(length) => {
                    buffer.extend_from_slice(&bytes[..length]);
                    return Some(());
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
                        && !self.is_over() => {}
                Err(_) => return None,
            }
        }
    }
}
