//! TCP: every address of a name is tried, small writes are not held back, buffers are sized as the settings say.

use core::future::Future;
use core::time::Duration;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;

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
        // Kafka: Selector.configureSocketChannel
        socket.set_keepalive(true)?;
        Ok(socket)
    }
}

pub(super) async fn connect(host: String, port: u16, buffers: SocketBuffers) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = lookup_host((host.as_str(), port)).await?.collect();
    let connecting = |address| async move { buffers.socket(address)?.connect(address).await };
    match first_of(addresses, connecting).await {
        Some(connected) => connected,
        None => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("{host} has no address"),
        )),
    }
}

/// How long an address is waited for while there is another one: less than `socket.connection.setup.timeout.ms`, or the
/// others would never have their turn.
const TURN: Duration = Duration::from_secs(3);

/// Tries the addresses in turn; the last failure when none can be reached, nothing when there is none.
async fn first_of<S, C>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> C,
) -> Option<io::Result<S>>
where
    C: Future<Output = io::Result<S>>,
{
    let mut left = addresses.into_iter().peekable();
    let mut last = None;
    while let Some(address) = left.next() {
        let connecting = connect(address);
        let result = match left.peek() {
            Some(_) => timeout(TURN, connecting)
                .await
                .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())),
            None => connecting.await,
        };
        let is_connected = result.is_ok();
        last = Some(result);
        if is_connected {
            break;
        }
    }
    last
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

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_silent_or_cannot_be_used_does_not_keep_the_others_from_their_turn() {
        let [silent, broken, good] = [1, 2, 3].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let connect = |address| async move {
            match address {
                it if it == silent => core::future::pending().await,
                it if it == broken => Err(io::ErrorKind::Unsupported.into()),
                it => Ok(it),
            }
        };
        let start = tokio::time::Instant::now();
        let connected = first_of(vec![silent, broken, good], connect)
            .await
            .expect("there are addresses");
        assert_eq!(connected.expect("one is good"), good);
        assert_eq!(start.elapsed(), TURN);
        assert!(first_of(Vec::new(), connect).await.is_none());
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
