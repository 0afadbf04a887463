//! The application's own assignors: they run in the driver, and so what one adds to the member's subscription is asked for before
//! JoinGroup is sent. Kafka's own are run by the member itself.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_groups::assign::{Assigned, by_name};
use kohort_groups::member::{JoinRequest, MemberRequest};
use kohort_machine::{Instant, Token};

use crate::consumer::{Action, ConsumerEngine, Describe};

/// A JoinGroup that waits for what the application's assignors add.
#[derive(Debug)]
pub(super) struct Describing {
    token: Token,
    join: Box<JoinRequest>,
    timeout: Duration,
}

impl ConsumerEngine {
    /// Sends JoinGroup, once the application's own assignors have had their say.
    // Kafka: ConsumerCoordinator.metadata
    pub(super) fn send_join(
        &mut self,
        now: Instant,
        token: Token,
        join: Box<JoinRequest>,
        timeout: Duration,
    ) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        let own = join.protocols.iter().filter(|(name, _)| by_name(name).is_none());
        let assignors: Vec<(Arc<str>, Option<Assigned>)> = own
            .map(|(name, _)| (Arc::clone(name), membership.member.last_assigned(name).cloned()))
            .collect();
        if assignors.is_empty() {
            return self.send_member_request(now, token, MemberRequest::Join(join), timeout);
        }
        let topics = join
            .protocols
            .first()
            .map(|(_, subscription)| subscription.topics.clone());
        self.outbox.push(Action::Describe(Box::new(Describe {
            step: token.0,
            topics: topics.unwrap_or_default(),
            assignors,
        })));
        membership.describing = Some(Describing { token, join, timeout });
    }

    /// What the application's assignors add to the subscription under their names.
    pub(in crate::consumer) fn on_described(
        &mut self,
        now: Instant,
        step: u64,
        user_data: Vec<(Arc<str>, Option<Bytes>)>,
    ) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        let Some(describing) = membership
            .describing
            .take_if(|describing| describing.token.0 == step)
        else {
            return;
        };
        let Describing {
            token,
            mut join,
            timeout,
        } = describing;
        for (name, user_data) in user_data {
            let under_name = join.protocols.iter_mut().find(|(offered, _)| *offered == name);
            if let Some((_, subscription)) = under_name {
                subscription.user_data = user_data;
            }
        }
        self.send_member_request(now, token, MemberRequest::Join(join), timeout);
    }

    /// Tells an assignor of the application what the member got under it, before the listener hears of it.
    // Kafka: ConsumerCoordinator.onJoinComplete
    pub(super) fn tell_assignor(&mut self, name: &Arc<str>) {
        let member = self.membership.as_ref().map(|membership| &membership.member);
        if by_name(name).is_none()
            && let Some(assigned) = member.and_then(|member| member.last_assigned(name))
        {
            let told = (Arc::clone(name), assigned.clone());
            self.outbox.push(Action::OnAssignment(Box::new(told)));
        }
    }
}
