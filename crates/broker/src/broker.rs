//! The handle of a running broker.

use std::sync::Arc;

use kohort_node::{Cluster, Control, ControlError, FaultRule, Rebalance};
use tokio::sync::{mpsc, oneshot, watch};

use crate::admission::Admission;
use crate::builder::Builder;
use crate::connection::Shared;
use crate::connector::Connector;
use crate::node_task::Input;

/// A running broker. Dropping it ends it without waiting; [`Broker::shutdown`] waits.
#[derive(Debug)]
pub struct Broker {
    pub(crate) cluster: Cluster,
    pub(crate) shared: Shared,
    pub(crate) admission: Admission,
    pub(crate) stop: watch::Sender<bool>,
    /// Gives `None` when all tasks are gone.
    pub(crate) tasks: mpsc::Receiver<()>,
}

/// Why the broker did not do what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlFailure {
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] ControlError),
    /// The broker has ended.
    #[error("the broker has ended")]
    Ended,
}

impl Broker {
    /// A broker to be configured and started.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// What clients set as `bootstrap.servers`: all brokers, separated by commas.
    pub fn bootstrap_servers(&self) -> String {
        let brokers = self.cluster.brokers.iter();
        let addresses: Vec<String> = brokers
            .map(|broker| match broker.host.contains(':') {
                true => format!("[{}]:{}", broker.host, broker.port),
                false => format!("{}:{}", broker.host, broker.port),
            })
            .collect();
        addresses.join(",")
    }

    /// Opens in-memory connections to this broker.
    pub fn connector(&self) -> Connector {
        let ports = self.cluster.brokers.iter().map(|broker| (broker.id, broker.port));
        Connector::new(&self.shared, self.admission.clone(), ports.collect())
    }

    /// Creates a topic. When dropped, it may or may not be created.
    ///
    /// # Errors
    ///
    /// When the topic exists, its name or number of partitions is invalid, or the broker has ended.
    pub async fn create_topic(&self, name: &str, partitions: i32) -> Result<(), ControlFailure> {
        self.create_topic_with(name.into(), partitions, Vec::new()).await
    }

    pub(crate) async fn create_topic_with(
        &self,
        name: String,
        partitions: i32,
        config: Vec<(String, String)>,
    ) -> Result<(), ControlFailure> {
        self.control(Control::CreateTopic {
            name,
            partitions,
            config,
        })
        .await
    }

    /// Lets the next requests of an API fail, wait, vanish or lose their reply. When dropped, the fault may or may not be
    /// set.
    ///
    /// # Errors
    ///
    /// When the broker has ended.
    pub async fn inject(&self, rule: FaultRule) -> Result<(), ControlFailure> {
        self.control(Control::Inject(rule)).await
    }

    /// Forgets all faults that were not used up. When dropped, they may or may not be forgotten.
    ///
    /// # Errors
    ///
    /// When the broker has ended.
    pub async fn clear_faults(&self) -> Result<(), ControlFailure> {
        self.control(Control::ClearFaults).await
    }

    /// Makes another of the brokers the leader of a partition, in a new leader epoch. When dropped, it may or may not happen.
    ///
    /// # Errors
    ///
    /// When there is no such partition or broker, or the broker has ended.
    pub async fn move_leader(&self, topic: &str, partition: i32, broker: i32) -> Result<(), ControlFailure> {
        self.control(Control::MoveLeader {
            topic: topic.into(),
            partition,
            broker,
        })
        .await
    }

    /// Stops one of the brokers as a crash does: its connections are closed, new ones refused (over TCP: closed at once), and what
    /// is not in the logs is lost, group members' sessions among it. It leads what it led; nobody takes its place. With
    /// [`Broker::start_broker`] this is a restart in place. When dropped, the broker may be stopped or only let nobody in.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = kohort_broker::Broker::builder().topic("orders", 1).start().await?;
    /// broker.stop_broker(0).await?;
    /// assert!(broker.connector().connect("localhost", 9092).await.is_err());
    /// broker.start_broker(0).await?;
    /// assert!(broker.connector().connect("localhost", 9092).await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When there is no such broker, or the broker has ended.
    pub async fn stop_broker(&self, broker: i32) -> Result<(), ControlFailure> {
        self.admission.set_stopped(broker, true);
        self.control(Control::Stop { broker }).await
    }

    /// Starts a stopped broker again: it loads the groups that it hosts from the logs, and lets clients in. When dropped, the
    /// broker may be stopped still.
    ///
    /// # Errors
    ///
    /// When there is no such broker, or the broker has ended.
    pub async fn start_broker(&self, broker: i32) -> Result<(), ControlFailure> {
        self.control(Control::Start { broker }).await?;
        self.admission.set_stopped(broker, false);
        Ok(())
    }

    /// The last 16 rebalances of a group since this broker coordinates it, oldest first, and behind them the one under way: when, why
    /// and by whom each began, how long its phases took, what each member gave up and got, and how long each partition had no
    /// owner. None of a group that is not here, or has not rebalanced. When dropped, nothing happens.
    ///
    /// Rebalances that have ended are records of the internal topic `__kohort_rebalances`, too, which any client can read and which
    /// outlives the process where the logs do; `kohort groups describe --rebalances` prints it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let broker = kohort_broker::Broker::builder().topic("orders", 1).start().await?;
    /// for rebalance in broker.rebalances("billing").await? {
    ///     println!("{}: {:?}", rebalance.cause.name(), rebalance.longest_pause());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the broker has ended.
    pub async fn rebalances(&self, group_id: &str) -> Result<Vec<Arc<Rebalance>>, ControlFailure> {
        let (reply, answer) = oneshot::channel();
        let group_id = group_id.into();
        let input = Input::Rebalances { group_id, reply };
        self.shared
            .node
            .send(input)
            .await
            .map_err(|_| ControlFailure::Ended)?;
        answer.await.map_err(|_| ControlFailure::Ended)
    }

    /// Ends the broker: connections are closed, and all tasks are gone when this returns. When dropped, the broker ends
    /// without being waited for.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        drop(self.shared);
        while self.tasks.recv().await.is_some() {}
    }

    async fn control(&self, control: Control) -> Result<(), ControlFailure> {
        let (reply, answer) = oneshot::channel();
        let input = Input::Control {
            control: Box::new(control),
            reply,
        };
        self.shared
            .node
            .send(input)
            .await
            .map_err(|_| ControlFailure::Ended)?;
        match answer.await {
            Ok(result) => result.map_err(|error| ControlFailure::Refused(*error)),
            Err(_) => Err(ControlFailure::Ended),
        }
    }
}
