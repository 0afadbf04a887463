//! Building an admin client: settings are checked once, then the network task is started.

use kohort_engine::admin::AdminEngine;
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;

use super::Admin;
use super::host::AdminHost;
use crate::config::{AdminConfig, ConfigError, Draft, made_client_id, ms};
use crate::consumer::BuildError;
use crate::task::{Clock, Driver, seed, spawn};
use crate::transport::{SocketBuffers, Transport};

/// Bytes of a frame that a broker may send an admin client.
const MAX_FRAME: usize = 64 << 20;

/// Builds an [`Admin`]: a typed method per setting, named as Kafka's key with `_` for `.`, or [`set`](Self::set) by the key
/// itself. A mistake is returned by [`build`](Self::build).
///
/// ```no_run
/// # fn example() -> Result<(), kohort::consumer::BuildError> {
/// let admin = kohort::Admin::builder().bootstrap_servers("localhost:9092").request_timeout_ms(5_000).build()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until it builds"]
#[derive(Debug, Default)]
pub struct AdminBuilder {
    pub(crate) draft: Draft<AdminConfig>,
    transport: Option<Transport>,
}

impl Admin {
    /// A builder with Kafka's defaults.
    pub fn builder() -> AdminBuilder {
        AdminBuilder::default()
    }
}

impl AdminBuilder {
    /// A builder with the settings of a Java `.properties` file.
    ///
    /// # Errors
    /// The first mistake of syntax, key or value.
    pub fn from_properties(text: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            draft: Draft::from_properties(text)?,
            transport: None,
        })
    }

    /// Reaches brokers by this instead of TCP.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Checks the settings and starts the network task. Nothing is sent before the client is used.
    ///
    /// # Errors
    /// A wrong setting; or no tokio runtime here (see `kohort.runtime`).
    pub fn build(self) -> Result<Admin, BuildError> {
        self.build_on().map(|(admin, _)| admin)
    }

    pub(crate) fn build_on(self) -> Result<(Admin, Handle), BuildError> {
        let (config, _) = self.draft.finish()?;
        let client_id = match config.client_id.is_empty() {
            true => made_client_id("adminclient"),
            false => config.client_id.clone(),
        };
        let client = config.engine(&client_id);
        let buffers = SocketBuffers::new(config.receive_buffer_bytes, config.send_buffer_bytes);
        let transport = self.transport.unwrap_or_else(|| Transport::tcp(buffers));
        let (inputs, from_handles) = unbounded_channel();
        let runtime = spawn(config.kohort_runtime, move || {
            let engine = AdminEngine::new(client, seed());
            Driver::new(
                engine,
                AdminHost::default(),
                from_handles,
                transport,
                MAX_FRAME,
                Clock::start(),
            )
            .run()
        })?;
        let admin = Admin {
            inputs,
            timeout: ms(config.default_api_timeout_ms),
        };
        Ok((admin, runtime))
    }
}
