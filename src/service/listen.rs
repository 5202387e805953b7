//! Who asks a running sensor how it is: a Unix socket for the program's own commands, and HTTP on
//! loopback for Prometheus.
//!
//! Both are opened before rights are given up, and then served by a thread each, one question at a
//! time and within seconds. They read what is pinned to the board and the workers' pulses, so
//! that nobody who asks can hold up anything.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::render;
use crate::pipeline::board::{Board, Page};

/// How long somebody may take to ask, or to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long merge may take to make a page, looked for in so many steps.
const STEPS: u32 = 100;
/// Bytes of a question at most.
const QUESTION_BYTES_MAX: usize = 8192;

/// Why there is no listening.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A socket cannot be opened.
    #[error("cannot listen on {place}: {source}; name another one, or end whoever has it")]
    Open {
        /// Where.
        place: String,
        /// What the system says.
        source: io::Error,
    },
    /// Others on the network could ask.
    #[error(
        "{0}: metrics are given on loopback only, such as 127.0.0.1:9469 or [::1]:9469; whoever is \
         elsewhere asks through a proxy that checks who asks"
    )]
    NotLoopback(String),
}

/// Sockets that are open.
#[derive(Debug, Default)]
pub struct Listeners {
    socket: Option<(UnixListener, PathBuf)>,
    metrics: Option<TcpListener>,
}

/// Removes the socket's file when dropped.
#[derive(Debug)]
pub struct Listening {
    socket: Option<PathBuf>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(path) = &self.socket {
            // It may be gone already.
            let _gone = std::fs::remove_file(path);
        }
    }
}

impl Listeners {
    /// Opens what is asked for.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn open(socket: Option<&Path>, metrics: Option<&str>) -> Result<Listeners, ListenError> {
        let socket = match socket {
            Some(path) => Some((unix(path)?, path.to_path_buf())),
            None => None,
        };
        let metrics = match metrics {
            Some(text) => {
                let address: Option<SocketAddr> = text.parse().ok();
                let address = address.filter(|address| address.ip().is_loopback());
                let address = address.ok_or_else(|| ListenError::NotLoopback(text.into()))?;
                let opened = TcpListener::bind(address);
                Some(opened.map_err(|source| ListenError::Open { place: text.into(), source })?)
            }
            None => None,
        };
        Ok(Listeners { socket, metrics })
    }

    /// Whether there is anything to serve.
    pub fn is_empty(&self) -> bool {
        self.socket.is_none() && self.metrics.is_none()
    }

    /// Where the metrics are, with the port that the system chose where 0 was asked for.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }

    /// Serves them until the program ends.
    pub fn serve(self, board: &Arc<Board>) -> Listening {
        let mut listening = Listening { socket: None };
        if let Some((listener, path)) = self.socket {
            let board = Arc::clone(board);
            listening.socket = Some(path);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    // Whoever goes away without the answer did not want it.
                    let _gone = answer(stream, &board);
                }
            });
        }
        if let Some(listener) = self.metrics {
            let board = Arc::clone(board);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let patient = stream.set_read_timeout(Some(PATIENCE));
                    let patient = patient.and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
                    let _gone = patient.and_then(|()| http(stream, &board));
                }
            });
        }
        listening
    }
}

/// Asks a running sensor.
///
/// # Errors
/// Nobody listens there, or no answer came.
pub fn ask(path: &Path, question: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(3 * PATIENCE))?;
    writeln!(stream, "{question}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::other("it gave no answer"));
    }
    Ok(answer)
}

fn unix(path: &Path) -> Result<UnixListener, ListenError> {
    let failed = |source| ListenError::Open { place: path.display().to_string(), source };
    match UnixListener::bind(path) {
        // What a sensor left that was killed: nobody answers there any more.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
            if !UnixStream::connect(path).is_err_and(refused) {
                return Err(failed(error));
            }
            std::fs::remove_file(path).and_then(|()| UnixListener::bind(path)).map_err(failed)
        }
        opened => opened.map_err(failed),
    }
}

fn answer(mut stream: UnixStream, board: &Board) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let question = read_until(&mut stream, b"\n")?;
    let answer = match question.trim_ascii() {
        b"status" => soon(|| render::status_now(board)),
        b"unmatched" => {
            board.ask_unmatched();
            soon(|| board.read(Page::Unmatched).map(|page| page.to_string()))
        }
        _ => None,
    };
    stream.write_all(answer.unwrap_or_default().as_bytes())
}

/// What merge will have said when it comes to it.
fn soon(read: impl Fn() -> Option<String>) -> Option<String> {
    for _ in 0..STEPS {
        if let Some(text) = read() {
            return Some(text);
        }
        std::thread::sleep(PATIENCE / STEPS);
    }
    None
}

fn http(mut stream: impl Read + Write, board: &Board) -> io::Result<()> {
    let question = read_until(&mut stream, b"\r\n\r\n")?;
    let line = question.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let (status, body) = match line {
        line if line.starts_with(b"GET /metrics ") => match render::metrics_now(board) {
            Some(metrics) => ("200 OK", metrics),
            None => ("503 Service Unavailable", "not yet\n".into()),
        },
        line if line.starts_with(b"GET ") => ("404 Not Found", "ask for /metrics\n".into()),
        _ => ("405 Method Not Allowed", "GET /metrics is all there is\n".into()),
    };
    // The text format of Prometheus, version 0.0.4.
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// What comes until `end`, or until the other side has said all.
fn read_until(stream: &mut impl Read, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut question = Vec::new();
    let mut buffer = [0; 1024];
    while question.len() < QUESTION_BYTES_MAX && !question.ends_with(end) {
        match stream.read(&mut buffer)? {
            0 => break,
            length => question.extend(buffer.iter().take(length)),
        }
    }
    Ok(question)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn http_get(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn who_asks_is_answered_and_who_is_elsewhere_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scope.sock");
        // As a sensor that was killed leaves it.
        drop(UnixListener::bind(&path).unwrap());
        let listeners = Listeners::open(Some(&path), Some("127.0.0.1:0")).unwrap();
        let address = listeners.metrics_address().unwrap();
        assert!(Listeners::open(Some(&path), None).is_err());
        let board = Arc::new(Board::new(2));
        let listening = listeners.serve(&board);
        let get = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(http_get(address, get).starts_with("HTTP/1.1 503 "));
        board.pin(Page::Metrics, "shadowscope_commits_total 3\n".into());
        board.pin(Page::Status, "{\"commits\": 3}".into());
        let answer = http_get(address, get);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\r\n\r\nshadowscope_commits_total 3\n"), "{answer}");
        assert!(answer.contains("shadowscope_worker_packets_total{worker=\"1\"} 0\n"), "{answer}");
        assert!(http_get(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        assert!(http_get(address, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        assert!(ask(&path, "status").unwrap().contains("\"commits\":3"));
        assert!(ask(&path, "nonsense").is_err());
        let merge = Arc::clone(&board);
        let merge = std::thread::spawn(move || {
            while !merge.is_unmatched_wanted() {
                std::thread::yield_now();
            }
            merge.pin(Page::Unmatched, "[]".into());
        });
        assert_eq!(ask(&path, "unmatched").unwrap(), "[]");
        merge.join().unwrap();
        drop(listening);
        assert!(!path.exists());

        for address in ["0.0.0.0:9469", "192.0.2.1:9469", "nonsense", "[::]:9469"] {
            let error = Listeners::open(None, Some(address)).unwrap_err();
            assert!(matches!(error, ListenError::NotLoopback(_)), "{error}");
        }
    }
}
