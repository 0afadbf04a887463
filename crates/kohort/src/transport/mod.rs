//! How a client reaches a broker: a function from host and port to a byte stream. TCP by default; anything of tokio's kind
//! by choice, for tests in memory and for tunnels. What is said over the stream lives in the engine.

mod tcp;

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use tcp::SocketBuffers;

/// A byte stream in both directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + ?Sized> Io for T {}

/// A connection in the making.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;

/// Connects to a host and a port. Cloning shares it.
///
/// ```
/// use kohort::transport::Transport;
/// use tokio::net::TcpStream;
///
/// // Every broker is reached over one tunnel.
/// let transport = Transport::new(|_host: String, port: u16| TcpStream::connect(("127.0.0.1", port + 10_000)));
/// let builder = kohort::Consumer::<String, String>::builder().transport(transport);
/// # let _ = builder;
/// ```
#[derive(Clone)]
pub struct Transport(Arc<dyn Fn(String, u16) -> Connecting + Send + Sync>);

impl Transport {
    /// A transport of one's own. Dropping the future gives the attempt up; the client keeps the time.
    pub fn new<F, C, S>(connect: F) -> Self
    where
        F: Fn(String, u16) -> C + Send + Sync + 'static,
        C: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self(Arc::new(move |host, port| {
            let connecting = connect(host, port);
            Box::pin(async move { Ok(Box::new(connecting.await?) as Box<dyn Io>) })
        }))
    }

    pub(crate) fn tcp(buffers: SocketBuffers) -> Self {
        Self::new(move |host, port| tcp::connect(host, port, buffers))
    }

    pub(crate) fn connect(&self, host: String, port: u16) -> Connecting {
        (self.0)(host, port)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}
