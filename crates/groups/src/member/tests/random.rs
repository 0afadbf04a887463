//! Members in a world that answers as it likes: whatever happens, the listener is called in an order that makes sense, and a
//! member whose world is kind again becomes stable.

use std::collections::BTreeSet;
use std::mem;

use kohort_machine::Prng;
use kohort_machine::testing::replay;

use super::*;

/// What the driver still owes the member.
#[derive(Debug, Clone)]
enum Owed {
    Answer(Token, MemberApi),
    Revoked(Token, Vec<TopicPartition>),
    Lost(Token, Vec<TopicPartition>),
    Assigned(Token),
    Computed(Token),
}

struct World {
    member: Driven,
    prng: Prng,
    assignor: &'static str,
    eager: bool,
    owed: Vec<Owed>,
    generation: i32,
    /// What the listener knows: assigned and not yet given up.
    held: BTreeSet<TopicPartition>,
    open_rebalance: Option<u64>,
    /// What was given up since the last rebalance that ended.
    gone: BTreeSet<TopicPartition>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut prng = Prng::from_seed(seed);
        let eager = prng.chance(1, 2);
        let mut config = if eager { config() } else { cooperative() };
        if prng.chance(1, 3) {
            config.group_instance_id = Some("i".into());
        }
        Self {
            member: driven(config),
            prng,
            assignor: if eager { "range" } else { "cooperative-sticky" },
            eager,
            owed: Vec::new(),
            generation: 0,
            held: BTreeSet::new(),
            open_rebalance: None,
            gone: BTreeSet::new(),
        }
    }

    fn step(&mut self, event: Event) {
        let actions = self.member.step(event);
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send { token, request, .. } => {
                    if let MemberRequest::Join(_) = &request {
                        assert!(!self.is_listening(), "JoinGroup while the listener runs");
                        assert!(
                            !self.eager || self.held.is_empty(),
                            "an eager member joins with {:?}",
                            self.held
                        );
                    }
                    self.owed.push(Owed::Answer(token, request.api()));
                }
                Action::Revoke { step, partitions } => {
                    assert!(!self.is_listening());
                    assert!(partitions.iter().all(|partition| self.held.contains(partition)));
                    self.owed.push(Owed::Revoked(step, partitions));
                }
                Action::Lost { step, partitions } => {
                    assert!(!self.is_listening());
                    assert!(!partitions.is_empty());
                    assert!(partitions.iter().all(|partition| self.held.contains(partition)));
                    self.owed.push(Owed::Lost(step, partitions));
                }
                Action::Assign { step, assignment } => {
                    assert!(!self.is_listening());
                    assert!(
                        assignment
                            .added
                            .iter()
                            .all(|partition| !self.held.contains(partition))
                    );
                    self.held.extend(assignment.added.iter().cloned());
                    let all: BTreeSet<_> = assignment.all.iter().cloned().collect();
                    assert_eq!(all, self.held, "what is gone was given up before");
                    self.owed.push(Owed::Assigned(step));
                }
                Action::Compute { step, .. } => self.owed.push(Owed::Computed(step)),
                Action::Began { number, .. } => {
                    assert_eq!(
                        self.open_rebalance.replace(number),
                        None,
                        "a rebalance within a rebalance"
                    );
                }
                Action::Ended(rebalance) => {
                    assert_eq!(self.open_rebalance.take(), Some(rebalance.number));
                    let gave_up = rebalance.gave_up.iter().cloned().collect();
                    assert_eq!(mem::take(&mut self.gone), gave_up, "{rebalance:?}");
                    let stopped: Vec<_> = rebalance.stopped.iter().map(|(gone, _)| gone.clone()).collect();
                    assert_eq!(stopped, rebalance.gave_up, "{rebalance:?}");
                }
                Action::CoordinatorMoved
                | Action::Left { .. }
                | Action::PollExpired
                | Action::Failed { .. } => {}
            }
        }
        let member = self.member.machine();
        assert_eq!(*member.owned(), self.held);
        if member.is_stable() {
            assert!(member.identity().is_some());
            assert_eq!(self.open_rebalance, None);
        }
    }

    fn is_listening(&self) -> bool {
        self.owed
            .iter()
            .any(|owed| matches!(owed, Owed::Revoked(..) | Owed::Lost(..) | Owed::Assigned(_)))
    }

    fn pay(&mut self, index: usize, kind: bool) {
        match self.owed.swap_remove(index) {
            Owed::Answer(token, api) => {
                let event = if api == MemberApi::JoinGroup && self.prng.chance(1, 8) {
                    Event::JoinAnew { token }
                } else if kind || self.prng.chance(1, 2) {
                    self.answer(token, api)
                } else {
                    let failure = self.failure();
                    fail(token, failure)
                };
                self.step(event);
            }
            Owed::Revoked(step, partitions) => {
                self.give_up(&partitions);
                self.step(Event::Revoked { step });
            }
            Owed::Lost(step, partitions) => {
                self.give_up(&partitions);
                self.step(Event::Lost { step });
            }
            Owed::Assigned(step) => self.step(Event::Assigned { step }),
            Owed::Computed(step) if kind || self.prng.chance(9, 10) => {
                self.step(computed(step, &[("m", &[("t", 0)])], 2));
            }
            Owed::Computed(step) => self.step(Event::Computed {
                step,
                result: Err("boom".into()),
            }),
        }
    }

    fn give_up(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.held.remove(partition);
            self.gone.insert(partition.clone());
        }
    }

    fn answer(&mut self, token: Token, api: MemberApi) -> Event {
        let response = match api {
            MemberApi::JoinGroup => {
                self.generation += 1;
                let leader = if self.prng.chance(1, 2) { "m" } else { "other" };
                joined_by(self.assignor, self.generation, leader, &["m", "n"])
            }
            MemberApi::SyncGroup => {
                let all = [("t", 0), ("t", 1), ("t", 2), ("t", 3)];
                let from = self.prng.below(3) as usize;
                let to = from + self.prng.below(2) as usize;
                synced(&all[from..=to])
            }
            MemberApi::Heartbeat | MemberApi::OffsetCommit => MemberResponse::Heartbeat,
            MemberApi::LeaveGroup => MemberResponse::Leave,
        };
        reply(token, response)
    }

    fn failure(&mut self) -> Failure {
        match self.prng.below(14) {
            0 => Failure::TimedOut,
            1 => Failure::Disconnected,
            2 => Failure::Unreachable,
            3 => Failure::Malformed { detail: "x".into() },
            4 => Failure::Refused(Refusal::NotCoordinator),
            5 => Failure::Refused(Refusal::CoordinatorLoadInProgress),
            6 | 7 => Failure::Refused(Refusal::UnknownMemberId),
            8 => Failure::Refused(Refusal::IllegalGeneration),
            9 | 10 => Failure::Refused(Refusal::RebalanceInProgress),
            11 => Failure::Refused(Refusal::MemberIdRequired {
                member_id: "m".into(),
            }),
            12 => Failure::Refused(Refusal::FencedInstanceId),
            _ => Failure::Refused(Refusal::GroupMaxSizeReached),
        }
    }

    fn anything(&mut self) {
        match self.prng.below(20) {
            0 => {
                let topics: &[&str] = if self.prng.chance(1, 4) {
                    &["u"]
                } else {
                    &["t", "u"]
                };
                self.step(subscribe(topics));
            }
            1 if self.prng.chance(1, 3) => self.step(Event::Unsubscribed),
            2 if self.prng.chance(1, 3) => self.step(Event::Leave {
                operation: LeaveOperation::LeaveGroup,
                reason: "bye".into(),
            }),
            3 => self.step(Event::PollExpired),
            4 => self.step(Event::Polled),
            11 => self.step(Event::Enforced { reason: "new".into() }),
            5 => {
                let count = self.prng.below(4) as u32;
                self.step(Event::Partitions {
                    topics: layouts(&[("t", count)]),
                });
            }
            6 => {
                let identity = self.member.machine().identity.clone().into();
                let refusal = Refusal::UnknownMemberId;
                self.step(Event::CommitRefused { identity, refusal });
            }
            7..=10 => {
                let by = Duration::from_millis(self.prng.below(8_000));
                let actions = self.member.advance(by);
                self.perform(actions);
            }
            _ if !self.owed.is_empty() => {
                let index = self.prng.index(self.owed.len());
                self.pay(index, false);
            }
            _ => {}
        }
    }

    /// The world is kind from here on.
    fn settle(&mut self) {
        // A fenced member does not come back by itself.
        self.step(Event::Unsubscribed);
        self.step(subscribe(&["t", "u"]));
        for _ in 0..60 {
            while !self.owed.is_empty() {
                self.pay(0, true);
            }
            if self.member.machine().is_stable() {
                break;
            }
            self.step(subscribe(&["t", "u"]));
            self.step(Event::Polled);
            self.step(Event::Partitions {
                topics: layouts(&[("t", 2)]),
            });
            let actions = self.member.advance(SECOND);
            self.perform(actions);
        }
        assert!(
            self.member.machine().is_stable(),
            "{:?}",
            self.member.machine().state
        );
    }
}

#[test]
fn whatever_happens_the_listener_is_called_in_order_and_the_member_recovers() {
    for seed in 0..400 {
        let mut world = World::new(seed);
        for _ in 0..200 {
            world.anything();
        }
        world.settle();
        let fresh = World::new(seed).member.machine().clone();
        replay(fresh, world.member.record());
    }
}
