//! A client that says exactly what it is told to, byte for byte.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The body ended as it was announced.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection.
pub(crate) struct Line {
    stream: BufReader<TcpStream>,
}

impl Line {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// Sends bytes as they are. A server that has hung up is noticed when its answer is read.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// One request with its body, and its answer.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        self.send(format!("{head}\r\n").as_bytes());
        self.send(body.unwrap_or_default());
        self.answer(method == "HEAD").unwrap()
    }

    /// The next answer; none if the connection ended before one.
    pub(crate) fn answer(&mut self, is_head: bool) -> Option<Answer> {
        let mut first = String::new();
        if !self.stream.read_line(&mut first).is_ok_and(|bytes| bytes > 0) {
            return None;
        }
        let status = first.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let mut text = String::new();
            self.stream.read_line(&mut text).ok()?;
            let Some((name, value)) = text.trim_end().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new(), is_whole: true };
        if is_head {
            return Some(answer);
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.is_whole = self.chunks(&mut answer.body).is_some();
        } else {
            let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
            answer.body.resize(length, 0);
            answer.is_whole = self.stream.read_exact(&mut answer.body).is_ok();
        }
        Some(answer)
    }

    /// How many bytes come before the connection ends, however it does.
    pub(crate) fn bytes_to_the_end(&mut self) -> usize {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        bytes.len()
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> Option<()> {
        loop {
            let mut text = String::new();
            self.stream.read_line(&mut text).ok()?;
            let length = usize::from_str_radix(text.trim_end(), 16).ok()?;
            let start = body.len();
            body.resize(start + length, 0);
            self.stream.read_exact(&mut body[start..]).ok()?;
            self.stream.read_exact(&mut [0; 2]).ok()?;
            if length == 0 {
                return Some(());
            }
        }
    }
}
