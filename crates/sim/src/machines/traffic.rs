//! What the network brings and takes: actions of the machines become arrivals, arrivals become events of the machines.

use core::time::Duration;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kohort_engine::client::{NetAction, NetEvent};
use kohort_engine::consumer::Event as MemberEvent;
use kohort_engine::producer::ProducerEvent;
use kohort_node::{Action as NodeAction, ConnId, Event as NodeEvent};
use kohort_protocol::{ApiKey, frame};

use super::broker::{PORT, Process};
use super::network::{Arrival, Client};
use super::world::{Happening, World};
use crate::messages::Told;

impl World {
    pub(super) fn perform(&mut self, client: Client, action: NetAction) {
        match action {
            NetAction::Connect { link, port, .. } => {
                let broker = i32::from(port.saturating_sub(PORT));
                self.network
                    .connect(self.now, &mut self.arrivals, client, link, broker);
            }
            NetAction::Send { link, segments } => {
                let Some(conn) = self.network.conn_of(client, link) else {
                    return;
                };
                let frame = whole(segments);
                if let Client::Member(no) = client
                    && let Some(commit) = self.messages.commit_of(&frame)
                {
                    self.ledger.commit_sent(no, &commit);
                    self.commit_leaves(no, conn);
                }
                self.network
                    .send_up(self.now, &mut self.arrivals, conn, Arrival::Up(conn, frame));
            }
            NetAction::Disconnect { link } => {
                if let Some(conn) = self.network.conn_of(client, link) {
                    if let Some(connection) = self.network.get_mut(conn) {
                        connection.is_open_at_client = false;
                    }
                    self.network
                        .send_up(self.now, &mut self.arrivals, conn, Arrival::ClientGone(conn));
                }
            }
            NetAction::Warn { message } => self
                .story
                .note(self.now, || format!("{client:?} warns: {message}")),
        }
    }

    pub(super) fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Knock(conn) => self.knock(conn),
            Arrival::Up(conn, frame) => {
                if self.network.passes_up(conn)
                    && let Some(connection) = self.network.get_mut(conn)
                {
                    match connection.is_open_at_broker {
                        true => {
                            connection.inbox.push_back(frame);
                            self.serve(conn);
                        }
                        false => self.network.send_down(
                            self.now,
                            &mut self.arrivals,
                            conn,
                            Arrival::BrokerGone(conn),
                        ),
                    }
                }
            }
            Arrival::ClientGone(conn) => {
                if let Some(connection) = self.network.get_mut(conn)
                    && core::mem::take(&mut connection.is_open_at_broker)
                {
                    self.broker
                        .handle(self.now, NodeEvent::Disconnected { conn }, &mut self.ledger);
                    self.drain_broker();
                }
                self.network.forget(conn);
            }
            Arrival::Stands(conn)
            | Arrival::Refused(conn)
            | Arrival::Down(conn, _)
            | Arrival::BrokerGone(conn) => {
                self.arrive_at_client(conn, arrival);
            }
        }
    }

    fn knock(&mut self, conn: ConnId) {
        if !self.network.passes_up(conn) {
            return;
        }
        let Some(connection) = self.network.get_mut(conn) else {
            return;
        };
        let answer = match self.broker.is_up() {
            true => {
                connection.is_open_at_broker = true;
                let (broker, peer) = (connection.broker, Arc::from("/sim"));
                let event = NodeEvent::Connected { conn, broker, peer };
                self.broker.handle(self.now, event, &mut self.ledger);
                Arrival::Stands(conn)
            }
            false => Arrival::Refused(conn),
        };
        self.network.send_down(self.now, &mut self.arrivals, conn, answer);
        self.drain_broker();
    }

    fn arrive_at_client(&mut self, conn: ConnId, arrival: Arrival) {
        let is_end = matches!(arrival, Arrival::BrokerGone(_) | Arrival::Refused(_));
        let Some(connection) = self.network.get_mut(conn) else {
            return;
        };
        let (client, link) = (connection.client, connection.link);
        if let Client::Member(no) = client
            && let Some(member) = self.members.get(&no)
            && member.is_frozen(self.now)
        {
            self.frozen.push((no, arrival));
            return;
        }
        if is_end {
            if !core::mem::take(&mut connection.is_open_at_client) {
                return;
            }
        } else if !self.network.passes_down(conn) {
            return;
        }
        let reason = || "the connection ended".to_owned();
        let event = match arrival {
            Arrival::Stands(_) => NetEvent::Connected { link },
            Arrival::Refused(_) => NetEvent::ConnectFailed {
                link,
                reason: reason(),
            },
            Arrival::Down(_, frame) => NetEvent::Received { link, frame },
            _ => NetEvent::Disconnected {
                link,
                reason: reason(),
            },
        };
        self.network.forget(conn);
        match client {
            Client::Member(no) => {
                if let Some(member) = self.members.get_mut(&no) {
                    member.tell(self.now, MemberEvent::Net(event));
                    self.drain_member(no);
                }
            }
            Client::Producer(no) => {
                if let Some(producer) = self.producers.get_mut(&no) {
                    producer.handle(self.now, ProducerEvent::Net(event));
                    self.drain_producer(no);
                }
            }
        }
    }

    /// What came for a process while it stood still.
    pub(super) fn thaw(&mut self, no: usize) {
        let (own, others) = core::mem::take(&mut self.frozen)
            .into_iter()
            .partition(|(frozen, _)| *frozen == no);
        self.frozen = others;
        for (_, arrival) in own {
            self.arrivals.push(self.now, arrival);
        }
        self.happenings.push(self.now, Happening::Wake(no));
    }

    /// Gives the broker the next request of a connection, unless it works on one.
    fn serve(&mut self, conn: ConnId) {
        let Some(connection) = self.network.get_mut(conn) else {
            return;
        };
        if connection.in_work.is_some() {
            return;
        }
        let Some(frame) = connection.inbox.pop_front() else {
            return;
        };
        let peeked = frame::peek_request(&frame).ok();
        connection.in_work = peeked;
        let api = peeked.and_then(|peeked| ApiKey::from_i16(peeked.key));
        if let (Some(watched), Some(api)) = (&mut self.watched, api) {
            *watched.entry(api).or_default() += 1;
        }
        let told = Told {
            now: self.now,
            ledger: &mut self.ledger,
            story: &mut self.story,
        };
        let bytes = self.messages.request(told, conn, frame);
        let wall_ms = Process::wall_ms(self.now);
        self.broker.handle(
            self.now,
            NodeEvent::Frame { conn, bytes, wall_ms },
            &mut self.ledger,
        );
        self.drain_broker();
    }

    /// Reads a reply for the ledger and the mutant.
    fn pass_reply(&mut self, conn: ConnId, bytes: Bytes) -> Option<Bytes> {
        let Some(connection) = self.network.get_mut(conn) else {
            return Some(bytes);
        };
        let client = connection.client;
        match connection.in_work.take() {
            Some(asked) => self.messages.reply(&mut self.ledger, client, conn, &asked, bytes),
            None => Some(bytes),
        }
    }

    pub(super) fn drain_broker(&mut self) {
        while let Some(action) = self.broker.poll_action() {
            match action {
                NodeAction::Write { conn, .. } if self.faults.note_reply(conn) => {}
                NodeAction::Write { conn, segments, .. } => {
                    if let Some(reply) = self.pass_reply(conn, whole(segments)) {
                        let down = Arrival::Down(conn, reply);
                        self.network.send_down(self.now, &mut self.arrivals, conn, down);
                    }
                    self.serve(conn);
                }
                NodeAction::Ready { conn } => {
                    if let Some(connection) = self.network.get_mut(conn) {
                        connection.in_work = None;
                    }
                    self.serve(conn);
                }
                NodeAction::Close { conn, .. } => {
                    if let Some(connection) = self.network.get_mut(conn) {
                        connection.is_open_at_broker = false;
                    }
                    self.network
                        .send_down(self.now, &mut self.arrivals, conn, Arrival::BrokerGone(conn));
                }
                NodeAction::Disk { .. } if self.power_fails.is_some() => {
                    let power = self.power_fails.take();
                    self.lose_process(power);
                }
                NodeAction::Disk { token, task } => {
                    let nanos = u64::try_from(self.plan.sync.as_nanos()).unwrap_or(0);
                    let at = self.now + Duration::from_nanos(self.prng.below(nanos + 1));
                    let life = self.broker.life;
                    self.happenings
                        .push(at, Happening::DiskDone { life, token, task });
                }
                NodeAction::Log(line) => self.story.note(self.now, || format!("broker: {}", line.message)),
                NodeAction::Controlled { .. } => {}
            }
        }
    }
}

/// One frame without its length.
fn whole(segments: Vec<Bytes>) -> Bytes {
    let mut frame = BytesMut::new();
    for segment in segments {
        frame.extend_from_slice(&segment);
    }
    let frame = frame.freeze();
    frame.slice(4.min(frame.len())..)
}
