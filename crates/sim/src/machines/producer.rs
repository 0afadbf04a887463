//! A producer's process: it writes numbered records to partitions of its choice, and tells the ledger which are acknowledged.

use core::time::Duration;
use std::collections::BTreeMap;

use kohort_engine::client::NetAction;
use kohort_engine::producer::{
    ProducerAction, ProducerConfig, ProducerEngine, ProducerEvent, ProducerRecord,
};
use kohort_groups::TopicPartition;
use kohort_machine::{Instant, Machine, Prng, Token};

use super::broker::Process;
use super::member::client_config;
use crate::ledger::Ledger;
use crate::logs::value_of;
use crate::plan::{DELIVERY_TIMEOUT, Plan};

#[derive(Debug)]
pub(crate) struct Producer {
    engine: ProducerEngine,
    sends_at: Option<Instant>,
    sent: BTreeMap<Token, (TopicPartition, u64)>,
    tokens: u64,
    prng: Prng,
    /// It writes less, since nothing goes wrong any more.
    pub(crate) is_calm: bool,
}

impl Producer {
    pub(crate) fn new(plan: &Plan, no: usize, seed: u64, now: Instant) -> Self {
        let mut config = ProducerConfig::new(client_config(plan, format!("p{no}")));
        config.delivery_timeout = DELIVERY_TIMEOUT;
        config.max_block = DELIVERY_TIMEOUT;
        config.linger = Duration::from_millis(2);
        Self {
            engine: ProducerEngine::new(config, seed),
            sends_at: Some(now),
            sent: BTreeMap::new(),
            tokens: 0,
            prng: Prng::from_seed(seed),
            is_calm: false,
        }
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        let engine = self.engine.next_deadline().map(|next| next.at);
        match (engine, self.sends_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// It writes nothing more by itself.
    pub(crate) fn stop(&mut self) {
        self.sends_at = None;
    }

    /// Whether what was sent is written, or will not be.
    pub(crate) fn is_done(&self) -> bool {
        self.sent.is_empty()
    }

    pub(crate) fn handle(&mut self, now: Instant, event: ProducerEvent) {
        self.engine.handle(now, event);
    }

    /// Does what is due; new records are numbered from `ids` on.
    pub(crate) fn act(&mut self, now: Instant, partitions: &[TopicPartition], ids: &mut u64) {
        if self.engine.next_deadline().is_some_and(|next| next.at <= now) {
            self.engine.handle_timeout(now);
        }
        if self.sends_at.is_some_and(|at| at <= now) {
            let most = if self.is_calm { 2_000 } else { 500 };
            self.sends_at = Some(now + Duration::from_millis(60 + self.prng.below(most)));
            for _ in 0..=self.prng.below(4) {
                let chosen = usize::try_from(self.prng.below(partitions.len() as u64)).unwrap_or(0);
                if let Some(partition) = partitions.get(chosen) {
                    self.send(now, partition, ids);
                }
            }
        }
    }

    pub(crate) fn send(&mut self, now: Instant, partition: &TopicPartition, ids: &mut u64) {
        *ids += 1;
        self.tokens += 1;
        let token = Token(self.tokens);
        self.sent.insert(token, (partition.clone(), *ids));
        let record = Box::new(ProducerRecord {
            topic: partition.topic.clone(),
            partition: Some(partition.partition),
            timestamp: Process::wall_ms(now),
            key: None,
            value: Some(value_of(*ids)),
            headers: Vec::new(),
        });
        self.engine.handle(now, ProducerEvent::Send { token, record });
    }

    pub(crate) fn poll_net(&mut self, ledger: &mut Ledger) -> Option<NetAction> {
        while let Some(action) = self.engine.poll_action() {
            match action {
                ProducerAction::Net(net) => return Some(net),
                ProducerAction::Sent { token, result } => {
                    if let Some((partition, id)) = self.sent.remove(&token)
                        && let Ok(ack) = result
                        && let Some(offset) = ack.offset
                    {
                        ledger.acknowledged(&partition, offset, id);
                    }
                }
                ProducerAction::Done { .. } => {}
            }
        }
        None
    }
}
