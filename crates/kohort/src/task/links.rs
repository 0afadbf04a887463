//! All connections of one client. They share the client's task: no channel lies between a socket and the engine.

use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;

use kohort_engine::client::{LinkId, NetAction, NetEvent};

use super::link::{Link, Report};
use crate::transport::Transport;

pub(super) struct Links {
    transport: Transport,
    max_frame: usize,
    links: BTreeMap<LinkId, Link>,
    /// The connection after which the next look begins, so that a busy one does not starve the others.
    last: LinkId,
}

impl Links {
    pub(super) fn new(transport: Transport, max_frame: usize) -> Self {
        Self {
            transport,
            max_frame,
            links: BTreeMap::new(),
            last: LinkId(0),
        }
    }

    pub(super) fn perform(&mut self, action: NetAction) {
        match action {
            NetAction::Connect { link, host, port } => {
                tracing::debug!(link = link.0, %host, port, "connecting");
                let connecting = self.transport.connect(host, port);
                let max_frame = self.max_frame;
                self.links.insert(
                    link,
                    Link::Connecting {
                        connecting,
                        max_frame,
                    },
                );
            }
            NetAction::Send { link, segments } => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.send(segments);
                }
            }
            NetAction::Disconnect { link } => {
                if let Some(link) = self.links.remove(&link) {
                    end(link);
                }
            }
            NetAction::Warn { message } => tracing::warn!("{message}"),
        }
    }

    /// Ends all connections.
    pub(super) fn end(self) {
        self.links.into_values().for_each(end);
    }

    /// The next thing that any connection reports. Also moves what is to be written.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<NetEvent> {
        let after = (core::ops::Bound::Excluded(self.last), core::ops::Bound::Unbounded);
        let mut found = None;
        for (id, link) in self.links.range_mut(after) {
            if let Poll::Ready(report) = link.poll(cx) {
                found = Some((*id, report));
                break;
            }
        }
        if found.is_none() {
            for (id, link) in self.links.range_mut(..=self.last) {
                if let Poll::Ready(report) = link.poll(cx) {
                    found = Some((*id, report));
                    break;
                }
            }
        }
        let Some((link, report)) = found else {
            return Poll::Pending;
        };
        self.last = link;
        Poll::Ready(match report {
            Report::Connected => NetEvent::Connected { link },
            Report::Frame(frame) => NetEvent::Received { link, frame },
            Report::Failed(error) => {
                self.links.remove(&link);
                NetEvent::ConnectFailed {
                    link,
                    reason: error.to_string(),
                }
            }
            Report::Ended(error) => {
                self.links.remove(&link);
                NetEvent::Disconnected {
                    link,
                    reason: error.to_string(),
                }
            }
            Report::NoFrame(error) => {
                self.links.remove(&link);
                NetEvent::Unreadable {
                    link,
                    reason: error.to_string(),
                }
            }
        })
    }
}

/// Ends a connection. What was sent and nobody waits for (Produce with `acks=0`, the LeaveGroup of a close whose time is over)
/// may still lie here: the socket gets what it takes at once.
fn end(mut link: Link) {
    let _unwritten = link.poll_written(&mut Context::from_waker(Waker::noop()));
}
