//! TCP: every address of a name is tried, small writes are not held back, buffers are sized as the settings say.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// `receive.buffer.bytes` and `send.buffer.bytes`; `None`: the system's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SocketBuffers {
    receive: Option<u32>,
    send: Option<u32>,
}

impl SocketBuffers {
    /// From the settings' values, where -1 (and 0, which no system takes) is the system's own size.
    pub(crate) fn new(receive: i32, send: i32) -> Self {
        let size = |bytes: i32| u32::try_from(bytes).ok().filter(|b| *b > 0);
        Self {
            receive: size(receive),
            send: size(send),
        }
    }

    fn socket(self, address: SocketAddr) -> io::Result<TcpSocket> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Before connecting: the window that TCP announces is fixed by the receive buffer of that moment.
        if let Some(bytes) = self.receive {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.send {
            socket.set_send_buffer_size(bytes)?;
        }
        socket.set_nodelay(true)?;
        Ok(socket)
    }
}

pub(super) async fn connect(host: String, port: u16, buffers: SocketBuffers) -> io::Result<TcpStream> {
    let mut last = None;
    for address in lookup_host((host.as_str(), port)).await? {
        match buffers.socket(address)?.connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_one_leaves_the_buffers_to_the_system() {
        assert_eq!(SocketBuffers::new(-1, -1), SocketBuffers::default());
        assert_eq!(SocketBuffers::new(65_536, 0).receive, Some(65_536));
    }

    #[tokio::test]
    async fn a_connection_has_no_delay_and_the_asked_buffer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let stream = connect("127.0.0.1".to_owned(), port, SocketBuffers::new(16_384, -1))
            .await
            .expect("it listens");
        assert!(stream.nodelay().expect("an open socket"));
    }

    #[tokio::test]
    async fn a_closed_port_is_an_error_of_the_system() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        assert!(
            connect("127.0.0.1".to_owned(), port, SocketBuffers::default())
                .await
                .is_err()
        );
    }
}
