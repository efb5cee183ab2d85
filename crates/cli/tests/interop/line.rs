//! A line to the reference server on which things happen at named moments.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What happens to the next push.
pub(crate) enum Event {
    /// This first, then the push goes on: another replica is quicker.
    Before(Box<dyn FnOnce() + Send>),
    /// The server takes the push, and nothing that follows is answered until [`Line::mend`].
    LoseAnswer,
    /// The push does not arrive, nor does anything that follows until [`Line::mend`].
    LoseRequest,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    is_down: bool,
}

/// A line in front of a server, on an address of its own.
pub(crate) struct Line {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Line {
    pub(crate) fn to(server: &str) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        // Ends with the test's process: it holds nothing but its port.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, state) = (server.clone(), shared.clone());
                thread::spawn(move || carry(client, &server, &state));
            }
        });
        Self { url, state }
    }

    /// What happens to the next pushes, the first one first.
    pub(crate) fn plan(&self, events: Vec<Event>) {
        let mut state = self.state.lock().unwrap();
        state.events = events;
        state.events.reverse();
    }

    pub(crate) fn mend(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_down = false;
        state.events.clear();
    }

    /// Everything planned has happened.
    pub(crate) fn is_done(&self) -> bool {
        self.state.lock().unwrap().events.is_empty()
    }
}

/// Carries one request there and one answer back. Connections are not kept, so that each request
/// passes here.
fn carry(mut client: TcpStream, server: &str, state: &Mutex<State>) -> Option<()> {
    let request = read_request(&mut client).ok()?;
    let head = String::from_utf8_lossy(&request[..request.len().min(200)]).into_owned();
    let is_push = head.starts_with("POST ") && head.contains("/add-version/");
    let event = {
        let mut state = state.lock().unwrap();
        if state.is_down {
            return None;
        }
        if is_push { state.events.pop() } else { None }
    };
    let mut is_lost = false;
    match event {
        None => {}
        Some(Event::Before(happen)) => happen(),
        Some(Event::LoseAnswer) => {
            state.lock().unwrap().is_down = true;
            is_lost = true;
        }
        Some(Event::LoseRequest) => {
            state.lock().unwrap().is_down = true;
            return None;
        }
    }
    let mut upstream = TcpStream::connect(server).ok()?;
    upstream.write_all(&request).ok()?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).ok()?;
    if !is_lost {
        client.write_all(&answer).ok()?;
    }
    Some(())
}

/// Reads head and body, and asks for the connection to be closed afterwards.
fn read_request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 65536];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let n = client.read(&mut buffer)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..n]);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse().unwrap());
    while bytes.len() < end + length {
        let n = client.read(&mut buffer)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&buffer[..n]);
    }
    let body = bytes.split_off(end);
    let mut request = Vec::with_capacity(bytes.len() + body.len());
    for line in head.trim_end().split("\r\n") {
        let name = line.split(':').next().unwrap_or("");
        if !name.eq_ignore_ascii_case("connection") {
            request.extend_from_slice(line.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
    }
    request.extend_from_slice(b"Connection: close\r\n\r\n");
    request.extend_from_slice(&body);
    Ok(request)
}
