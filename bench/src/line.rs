//! A load generator on bare sockets: so little work of its own that what is measured is the server.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::{Duration, Instant};

const SEGMENT: &str = "application/vnd.taskchampion.history-segment";

/// One kept connection.
pub(crate) struct Line {
    stream: TcpStream,
    client: String,
    buffer: Vec<u8>,
}

/// What is read of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) version: Option<String>,
    pub(crate) bytes: usize,
}

impl Line {
    pub(crate) fn to(address: &str, client: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream, client: client.to_owned(), buffer: vec![0; 256 * 1024] }
    }

    pub(crate) fn set_client(&mut self, client: &str) {
        client.clone_into(&mut self.client);
    }

    pub(crate) fn child(&mut self, parent: &str) -> Answer {
        let request = format!(
            "GET /v1/client/get-child-version/{parent} HTTP/1.1\r\nHost: bench\r\nX-Client-Id: {}\r\n\r\n",
            self.client
        );
        self.ask(request.as_bytes())
    }

    pub(crate) fn add(&mut self, parent: &str, body: &[u8]) -> Answer {
        let head = format!(
            "POST /v1/client/add-version/{parent} HTTP/1.1\r\nHost: bench\r\nX-Client-Id: {}\r\n\
             Content-Type: {SEGMENT}\r\nContent-Length: {}\r\n\r\n",
            self.client,
            body.len()
        );
        self.ask(&[head.as_bytes(), body].concat())
    }

    fn ask(&mut self, request: &[u8]) -> Answer {
        self.stream.write_all(request).unwrap();
        let mut filled = 0;
        let end = loop {
            let came = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(came > 0, "the server closed the connection");
            filled += came;
            if let Some(end) = self.buffer[..filled].windows(4).position(|it| it == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = std::str::from_utf8(&self.buffer[..end]).unwrap();
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (known, value) = line.split_once(": ")?;
                known.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let status = head[9..12].parse().unwrap();
        let version = header("x-version-id");
        let bytes: usize = header("content-length").unwrap().parse().unwrap();
        let mut left = bytes - (filled - end);
        while left > 0 {
            let came = self.stream.read(&mut self.buffer).unwrap();
            assert!(came > 0, "the server closed the connection");
            left -= came;
        }
        Answer { status, version, bytes }
    }
}

/// What a storm of requests brought.
#[derive(Debug, Clone)]
pub(crate) struct Storm {
    /// Answers a second.
    pub(crate) rate: f64,
    /// Every answer's time in milliseconds, sorted.
    times: Vec<f64>,
    /// What the server had of the cores meanwhile, in seconds.
    pub(crate) server_cpu_s: f64,
}

impl Storm {
    /// What one answer cost the server, in microseconds of a core.
    fn cpu_us(&self) -> f64 {
        self.server_cpu_s * 1e6 / self.times.len() as f64
    }

    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let last = self.times.len() - 1;
        self.times[((last as f64) * part).round() as usize]
    }

    /// Lets `count` threads work for a while, each with what `begin` gave it; one call of `step` is
    /// one answer.
    pub(crate) fn run<W: Send>(
        count: usize,
        length: Duration,
        begin: impl Fn(usize) -> W,
        step: impl Fn(&mut W) + Sync,
    ) -> Self {
        let mut workers: Vec<W> = (0..count).map(begin).collect();
        let barrier = Barrier::new(count);
        let all: Vec<(Vec<f64>, f64)> = std::thread::scope(|scope| {
            let running: Vec<_> = workers
                .iter_mut()
                .map(|worker| {
                    let (barrier, step) = (&barrier, &step);
                    scope.spawn(move || {
                        barrier.wait();
                        let began = Instant::now();
                        let mut times = Vec::new();
                        while began.elapsed() < length {
                            let asked = Instant::now();
                            step(worker);
                            times.push(asked.elapsed().as_secs_f64() * 1e3);
                        }
                        (times, began.elapsed().as_secs_f64())
                    })
                })
                .collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let seconds = all.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
        let mut times: Vec<f64> = all.into_iter().flat_map(|(times, _)| times).collect();
        times.sort_by(f64::total_cmp);
        Self { rate: times.len() as f64 / seconds, times, server_cpu_s: 0.0 }
    }
}

/// The rounds of several contestants, who take turns.
#[derive(Default)]
pub(crate) struct Rounds {
    order: Vec<&'static str>,
    storms: HashMap<&'static str, Vec<Storm>>,
}

impl Rounds {
    pub(crate) fn push(&mut self, who: &'static str, storm: Storm) {
        if !self.order.contains(&who) {
            self.order.push(who);
        }
        self.storms.entry(who).or_default().push(storm);
    }

    /// The median of the rounds' rates.
    fn rate(&self, who: &str) -> f64 {
        self.median(who, |storm| storm.rate)
    }

    fn median(&self, who: &str, of: impl Fn(&Storm) -> f64) -> f64 {
        let mut all: Vec<f64> = self.storms[who].iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }

    /// Prints everybody, and how the first compares with each of the others.
    pub(crate) fn print(&self, what: &str) {
        println!("{what}");
        for who in &self.order {
            let storms = &self.storms[who];
            let most = |largest: bool| {
                let rates = storms.iter().map(|storm| storm.rate);
                if largest { rates.fold(0.0, f64::max) } else { rates.fold(f64::MAX, f64::min) }
            };
            println!(
                "  {who:<18} {:>9.0}/s ({:.0} to {:.0}), median {:.3} ms, p99 {:.3} ms, {:.1} µs of a core each",
                self.rate(who),
                most(false),
                most(true),
                self.median(who, |storm| storm.quantile(0.5)),
                self.median(who, |storm| storm.quantile(0.99)),
                self.median(who, Storm::cpu_us)
            );
        }
        let first = self.rate(self.order[0]);
        for who in &self.order[1..] {
            println!("  ratio to {who}: {:.2}", first / self.rate(who));
        }
    }
}

/// A client id by number.
pub(crate) fn client(number: usize) -> String {
    format!("{number:08x}-2222-4333-8444-555555555555")
}

pub(crate) const NIL: &str = "00000000-0000-0000-0000-000000000000";
