//! What systemd is told: sd_notify(3), without its library.
//!
//! Each message is a datagram to the socket that `NOTIFY_SOCKET` names. The socket is connected
//! before rights are given up, and written to as a file afterwards. Nobody waits: a manager that
//! does not read loses messages.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::time::Duration;

/// The manager's socket.
#[derive(Debug)]
pub struct Notifier {
    socket: File,
    /// How long the manager waits for a sign of life, where it does.
    pub watchdog: Option<Duration>,
}

impl Notifier {
    /// What the environment asks for; `None` where nobody wants to be told.
    ///
    /// # Errors
    /// The socket cannot be reached.
    pub fn from_environment() -> io::Result<Option<Notifier>> {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(None) };
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        // The watchdog may be another process's.
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|_| is_ours).map(Duration::from_micros);
        Notifier::connect(path.as_bytes(), watchdog).map(Some)
    }

    /// To the socket at `path`; one that begins with `@` is in the abstract namespace (unix(7)).
    fn connect(path: &[u8], watchdog: Option<Duration>) -> io::Result<Notifier> {
        let address = match path.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(Path::new(std::ffi::OsStr::from_bytes(path)))?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_nonblocking(true)?;
        Ok(Notifier { socket: OwnedFd::from(socket).into(), watchdog })
    }

    /// All is ready.
    pub fn ready(&mut self) {
        self.send("READY=1");
    }

    /// There was progress.
    pub fn alive(&mut self) {
        self.send("WATCHDOG=1");
    }

    /// A line for people.
    pub fn status(&mut self, text: &str) {
        self.send(&format!("STATUS={text}"));
    }

    /// The end has begun.
    pub fn stopping(&mut self) {
        self.send("STOPPING=1");
    }

    fn send(&mut self, message: &str) {
        // A manager that is away or busy is no reason to stop measuring.
        let _lost = self.socket.write(message.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("shadowscope-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (socket, address) in [
            (UnixDatagram::bind(&path).unwrap(), path.as_os_str().as_bytes().to_vec()),
            (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}").into_bytes()),
        ] {
            let mut notifier = Notifier::connect(&address, None).unwrap();
            notifier.ready();
            notifier.status("all is well");
            notifier.alive();
            notifier.stopping();
            let mut heard = Vec::new();
            for _ in 0..4 {
                let mut buffer = [0; 64];
                let length = socket.recv(&mut buffer).unwrap();
                heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
            assert_eq!(heard, ["READY=1", "STATUS=all is well", "WATCHDOG=1", "STOPPING=1"]);
            // Nobody listens any more.
            drop(socket);
            notifier.alive();
        }
        assert!(Notifier::connect(b"/no/such/socket", None).is_err());
    }
}
