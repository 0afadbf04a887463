//! Random runs by seed: whatever members of two groups do, each request is answered once, generations only grow, and what all hold
//! stays within its bound.

use std::collections::BTreeSet;

use kohort_machine::Prng;

use super::*;
use crate::coordinator::classic::StateKind;

/// The group that shares the bound with [`GROUP`], and is not looked at otherwise.
const OTHER: &str = "other";

/// A member as a client sees itself.
#[derive(Debug, Clone, Default)]
struct Player {
    group_id: &'static str,
    id: Option<Arc<str>>,
    instance: Option<String>,
    generation: i32,
    waiting: Option<Token>,
}

struct Game {
    kit: Kit,
    prng: Prng,
    players: Vec<Player>,
    generation: i32,
    /// The generation that the journal has come to.
    told: i32,
    /// How many rebalances the journal told of this group.
    number: u64,
    left: BTreeSet<Arc<str>>,
    has_failed: bool,
}

impl Game {
    fn new(seed: u64) -> Self {
        let mut prng = Prng::from_seed(seed);
        let player = |group_id, index, statics| Player {
            group_id,
            instance: (index >= statics).then(|| std::format!("static-{index}")),
            ..Player::default()
        };
        let players = (0..6).map(|index| player(GROUP, index, 4));
        let others = (0..3).map(|index| player(OTHER, index, 2));
        let is_full = prng.chance(1, 2);
        let config = CoordinatorConfig {
            initial_rebalance_delay_ms: i32::try_from(prng.below(2) * 3_000).expect("small"),
            max_size: 5,
            inbox_limit: 4,
            most_said: match is_full {
                true => usize::try_from(3_000 + prng.below(60_000)).expect("small"),
                false => usize::MAX,
            },
            ..CoordinatorConfig::default()
        };
        Self {
            kit: Kit::with(config),
            players: players.chain(others).collect(),
            prng,
            generation: 0,
            told: 0,
            number: 0,
            left: BTreeSet::new(),
            has_failed: false,
        }
    }

    fn turn(&mut self) {
        let players = u64::try_from(self.players.len()).expect("few");
        let index = usize::try_from(self.prng.below(players)).expect("small");
        self.collect();
        match self.prng.below(14) {
            0..=3 => self.join(index),
            4..=6 => self.sync(index),
            7 | 8 => self.heartbeat(index),
            9 => self.commit(index),
            10 => self.leave(index),
            11 => self.kit.hold = true,
            12 if self.prng.chance(1, 3) => {
                self.has_failed = true;
                self.kit.fail(AppendFailure::Unavailable);
            }
            12 => self.kit.release(),
            _ => self.kit.advance(self.prng.below(8_000)),
        }
        self.check();
    }

    fn join(&mut self, index: usize) {
        let player = &self.players[index];
        if player.waiting.is_some() {
            return;
        }
        let mut protocols = anonymous_join().protocols;
        if self.prng.chance(1, 3) {
            // It has more to say now, or less again.
            let bytes = usize::try_from(self.prng.below(20_000)).expect("small");
            let mut metadata = protocols[0].metadata.to_vec();
            metadata.resize(metadata.len() + bytes, 0);
            protocols[0].metadata = metadata.into();
        }
        let request = JoinRequest {
            group_id: player.group_id.into(),
            protocols,
            member_id: player.id.clone().unwrap_or_else(|| UNKNOWN_MEMBER_ID.into()),
            group_instance_id: player.instance.as_deref().map(Arc::from),
            requires_known_member_id: self.prng.chance(1, 2),
            rebalance_timeout_ms: 20_000,
            ..anonymous_join()
        };
        let token = self.kit.join(request);
        self.players[index].waiting = Some(token);
    }

    fn sync(&mut self, index: usize) {
        let player = self.players[index].clone();
        let (Some(id), None) = (&player.id, player.waiting) else {
            return;
        };
        let all: Vec<Arc<str>> = self
            .players
            .iter()
            .filter(|other| other.group_id == player.group_id)
            .filter_map(|player| player.id.clone())
            .collect();
        let much = "x".repeat(usize::try_from(self.prng.below(10_000)).expect("small"));
        let is_long = self.prng.chance(1, 4);
        let given = |id| if is_long { &*much } else { id };
        let told: Vec<(&str, &str)> = all.iter().map(|id| (&**id, given(id))).collect();
        let token = self.kit.send(GroupRequest::Sync(SyncRequest {
            group_id: player.group_id.into(),
            ..sync(id, player.generation, &told)
        }));
        self.players[index].waiting = Some(token);
    }

    fn heartbeat(&mut self, index: usize) {
        let player = self.players[index].clone();
        if let Some(id) = &player.id {
            let token = self.kit.send(GroupRequest::Heartbeat(HeartbeatRequest {
                group_id: player.group_id.into(),
                ..heartbeat(id, player.generation)
            }));
            let GroupResponse::Heartbeat(answer) = self.kit.take(token) else {
                panic!("a heartbeat is answered at once");
            };
            self.learn(index, answer.err());
        }
    }

    fn commit(&mut self, index: usize) {
        let player = self.players[index].clone();
        if let (Some(id), None) = (&player.id, player.waiting) {
            let request = CommitOffsetsRequest {
                group_id: player.group_id.into(),
                ..commit(id, player.generation, 1)
            };
            let token = self.kit.send(GroupRequest::CommitOffsets(request));
            self.players[index].waiting = Some(token);
        }
    }

    fn leave(&mut self, index: usize) {
        let player = self.players[index].clone();
        if let (Some(id), None) = (&player.id, player.waiting) {
            self.left.insert(id.clone());
            let (group_id, members) = (player.group_id.into(), vec![leaving(id, None)]);
            let token = self
                .kit
                .send(GroupRequest::Leave(LeaveRequest { group_id, members }));
            self.players[index].waiting = Some(token);
        }
    }

    /// Hands each player what it was answered.
    fn collect(&mut self) {
        for index in 0..self.players.len() {
            let Some(token) = self.players[index].waiting else {
                continue;
            };
            let Some(response) = self.kit.replies.remove(&token) else {
                continue;
            };
            self.players[index].waiting = None;
            match response {
                GroupResponse::Join(join) => match join.outcome {
                    Ok(joined) => {
                        assert!(joined.generation >= self.players[index].generation);
                        self.players[index].id = Some(join.member_id);
                        self.players[index].generation = joined.generation;
                    }
                    Err(Refusal::MemberIdRequired) => self.players[index].id = Some(join.member_id),
                    Err(refusal) => self.learn(index, Some(refusal)),
                },
                GroupResponse::Sync(result) => self.learn(index, result.err()),
                GroupResponse::Leave(_) => self.learn(index, Some(Refusal::UnknownMemberId)),
                GroupResponse::CommitOffsets(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn learn(&mut self, index: usize, refusal: Option<Refusal>) {
        let player = &mut self.players[index];
        let gone = [
            Refusal::UnknownMemberId,
            Refusal::FencedInstanceId,
            Refusal::GroupMaxSizeReached,
        ];
        if refusal.is_some_and(|refusal| gone.contains(&refusal)) {
            player.id = None;
            player.generation = 0;
        }
    }

    fn check(&mut self) {
        let machine = self.kit.harness.machine();
        let classic = machine.groups.get(GROUP).and_then(|group| group.classic.as_ref());
        if let Some(classic) = classic {
            assert!(
                classic.generation() >= self.generation,
                "the generation went back"
            );
            self.generation = classic.generation();
            classic.assert_consistent();
        }
        let groups = machine.groups.values();
        let all: Vec<_> = groups.filter_map(|group| group.classic.as_ref()).collect();
        let said = all.iter().map(|classic| classic.recounted()).sum();
        let assigned = all.iter().map(|classic| classic.assigned()).sum();
        let held = machine.cx.held;
        assert_eq!((held.said, held.assigned), (said, assigned));
        let most = machine.cx.config.most_said;
        assert!(held.said <= most, "{held:?} of {most}");
        assert!(held.assigned <= most, "{held:?} of {most}");
        assert!(held.topics <= most, "{held:?} of {most}");
        self.check_journal();
    }

    /// No generation begins and none ends without an entry of the journal, each entry has a cause that is true, and no entry is told
    /// without a rebalance.
    fn check_journal(&mut self) {
        for ended in core::mem::take(&mut self.kit.rebalanced) {
            if ended.number == 1 {
                // The group was made anew.
                (self.told, self.number) = (0, 0);
            }
            assert_eq!(ended.number, self.number + 1);
            assert_eq!(
                ended.generation_before, self.told,
                "a generation without an entry"
            );
            assert!(ended.generation.is_none_or(|reached| reached == self.told + 1));
            self.told = ended.generation.unwrap_or(self.told);
            self.number = ended.number;
            for cause in core::iter::once(&ended.cause).chain(&ended.later_causes) {
                self.check_cause(cause);
            }
        }
        let machine = self.kit.harness.machine();
        let Some(classic) = machine.groups.get(GROUP).and_then(|group| group.classic.as_ref()) else {
            return;
        };
        let rebalances = classic.rebalances(self.kit.harness.now());
        let open = rebalances
            .last()
            .filter(|last| last.outcome == RebalanceOutcome::Open);
        let last = rebalances
            .last()
            .map_or(0, |last| last.generation.unwrap_or(last.generation_before));
        assert_eq!(classic.generation(), last, "a generation without an entry");
        match classic.kind() {
            StateKind::PreparingRebalance => {
                let open = open.expect("a rebalance is under way");
                assert_eq!(
                    (open.generation, open.generation_before),
                    (None, classic.generation())
                );
                self.check_cause(&open.cause);
            }
            StateKind::CompletingRebalance => {
                let open = open.expect("a rebalance is under way");
                assert_eq!(open.generation, Some(classic.generation()));
            }
            StateKind::Stable => {}
            StateKind::Empty => assert_eq!(open, None),
        }
    }

    /// Whether what the journal says did happen in this game.
    fn check_cause(&self, cause: &RebalanceCause) {
        match cause {
            RebalanceCause::MembersLeft { members, .. } => {
                assert!(members.iter().all(|member| self.left.contains(&member.member_id)));
            }
            RebalanceCause::AssignmentNotStored { refusal } => {
                let is_full = self.kit.harness.machine().cx.config.most_said < usize::MAX;
                assert!(self.has_failed || (is_full && *refusal == Refusal::NotAvailable));
            }
            RebalanceCause::StaticMemberReplaced { member, .. } => {
                assert!(member.group_instance_id.is_some());
            }
            RebalanceCause::GroupTooLarge { .. } => panic!("no large group was loaded"),
            // Members fall silent, come back and change nothing all the time.
            _ => {}
        }
        // Of who left before it joined with the id that it was given, only that is known.
        let is_named =
            |member: &Participant| &*member.client_id == "client" || self.left.contains(&member.member_id);
        assert!(cause.members().iter().all(is_named));
    }

    /// All members fall silent: every request that waits is answered, and the group becomes empty.
    fn end(mut self) {
        self.kit.release();
        self.kit.advance(400_000);
        self.kit.release();
        assert_eq!(self.kit.asked, [], "requests without an answer");
        assert!(
            matches!(self.kit.state(), "Empty" | "Dead"),
            "{}",
            self.kit.state()
        );
    }
}

#[test]
fn whatever_members_do_each_request_is_answered_once_and_generations_only_grow() {
    for seed in 0..300 {
        let mut game = Game::new(seed);
        for _ in 0..300 {
            game.turn();
        }
        game.end();
    }
}

#[test]
fn a_stable_group_whose_members_only_heartbeat_commit_and_sync_stays_stable() {
    for seed in 0..20 {
        let mut kit = Kit::new();
        let (ids, generation) = kit.stable(4);
        let before = kit.rebalanced.len();
        let mut prng = Prng::from_seed(seed);
        for _ in 0..100 {
            for id in &ids {
                match prng.below(3) {
                    0 => assert_eq!(kit.heartbeat(id, generation), Ok(())),
                    1 => assert_eq!(kit.commit(id, generation, 1), Ok(())),
                    _ => {
                        let token = kit.sync(id, generation, &[]);
                        assert_eq!(kit.take_sync(token), Ok(bytes(id)));
                        assert_eq!(kit.heartbeat(id, generation), Ok(()));
                    }
                }
            }
            kit.advance(1 + prng.below(9_998));
            assert_eq!(kit.state(), "Stable");
        }
        assert_eq!(kit.rebalanced.len(), before, "a rebalance without a cause");
    }
}

#[test]
fn what_is_stored_is_what_a_restarted_coordinator_has() {
    for seed in 0..50 {
        let mut game = Game::new(seed);
        for _ in 0..200 {
            game.turn();
        }
        game.kit.release();
        if game.kit.state() == "Stable" {
            let before = game.kit.describe();
            let mut again = Kit::recovered(CoordinatorConfig::default(), &game.kit.log);
            assert_eq!(again.describe(), before);
        }
    }
}
