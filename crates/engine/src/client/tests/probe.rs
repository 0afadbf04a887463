//! A machine that is a client and nothing else.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::{Deadline, Instant, Machine};
use kohort_protocol::RequestBody;
use kohort_protocol::messages::ListGroupsRequest;

use crate::client::testing::{Driven, Network};
use crate::client::{Client, ClientConfig, ClusterChange, NetAction, NetEvent, NetMachine, Reply, Target};

#[derive(Debug)]
pub(super) enum Event {
    Net(NetEvent),
    Request(Target, RequestBody, Duration),
    Call(fn(&mut Client, Instant)),
}

#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Net(NetAction),
    Reply(Reply),
    Changed(ClusterChange),
}

#[derive(Debug)]
pub(super) struct Probe {
    pub(super) client: Client,
}

impl Machine for Probe {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, now: Instant, event: Event) {
        match event {
            Event::Net(event) => self.client.handle_net(now, event),
            Event::Request(target, body, timeout) => {
                self.client.request(now, target, body, timeout);
            }
            Event::Call(call) => call(&mut self.client, now),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
    }

    fn poll_action(&mut self) -> Option<Action> {
        let client = &mut self.client;
        None.or_else(|| client.poll_net().map(Action::Net))
            .or_else(|| client.poll_reply().map(Action::Reply))
            .or_else(|| client.poll_cluster_change().map(Action::Changed))
    }

    fn next_deadline(&self) -> Option<Deadline> {
        self.client.next_deadline()
    }
}

impl NetMachine for Probe {
    fn net(event: NetEvent) -> Event {
        Event::Net(event)
    }

    fn split(action: Action) -> Result<NetAction, Action> {
        match action {
            Action::Net(action) => Ok(action),
            other => Err(other),
        }
    }
}

/// A client of `bootstrap` ports in front of a scripted cluster.
pub(super) fn probe_with(
    bootstrap: &[u16],
    network: Network,
    set: impl FnOnce(&mut ClientConfig),
) -> Driven<Probe> {
    let servers = bootstrap.iter().map(|port| (String::from("kafka"), *port));
    let mut config = ClientConfig::new(servers);
    set(&mut config);
    let client = Client::new(config, 7);
    Driven::new(Probe { client }, network)
}

pub(super) fn probe(bootstrap: &[u16], network: Network) -> Driven<Probe> {
    probe_with(bootstrap, network, |_| {})
}

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// A request that the scripted cluster hands to the test.
pub(super) fn ask(target: Target, timeout: Duration) -> Event {
    Event::Request(target, ListGroupsRequest::default().into(), timeout)
}

pub(super) fn coordinator(group: &str) -> Target {
    Target::Coordinator(Arc::from(group))
}

pub(super) fn replies(actions: Vec<Action>) -> Vec<Reply> {
    let reply = |action| match action {
        Action::Reply(reply) => Some(reply),
        _ => None,
    };
    actions.into_iter().filter_map(reply).collect()
}

/// Loads metadata, as most tests want it to be there.
pub(super) fn load_metadata(probe: &mut Driven<Probe>) {
    probe.step(Event::Call(|client, now| client.refresh_metadata(now)));
    assert!(probe.machine.client.cluster().version() > 0);
}
