//! Random runs by seed: whatever members do, each request is answered once and generations only grow.

use std::collections::BTreeSet;

use kohort_machine::Prng;

use super::*;
use crate::coordinator::classic::StateKind;

/// A member as a client sees itself.
#[derive(Debug, Clone, Default)]
struct Player {
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
        let players = (0..6).map(|index| Player {
            instance: (index >= 4).then(|| std::format!("static-{index}")),
            ..Player::default()
        });
        let config = CoordinatorConfig {
            initial_rebalance_delay_ms: i32::try_from(prng.below(2) * 3_000).expect("small"),
            max_size: 5,
            inbox_limit: 4,
            ..CoordinatorConfig::default()
        };
        Self {
            kit: Kit::with(config),
            players: players.collect(),
            prng,
            generation: 0,
            told: 0,
            number: 0,
            left: BTreeSet::new(),
            has_failed: false,
        }
    }

    fn turn(&mut self) {
        let index = usize::try_from(self.prng.below(6)).expect("small");
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
        let request = JoinRequest {
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
            .filter_map(|player| player.id.clone())
            .collect();
        let told: Vec<(&str, &str)> = all.iter().map(|id| (&**id, &**id)).collect();
        let token = self.kit.sync(id, player.generation, &told);
        self.players[index].waiting = Some(token);
    }

    fn heartbeat(&mut self, index: usize) {
        let player = self.players[index].clone();
        if let Some(id) = &player.id {
            let answer = self.kit.heartbeat(id, player.generation);
            self.learn(index, answer.err());
        }
    }

    fn commit(&mut self, index: usize) {
        let player = self.players[index].clone();
        if let (Some(id), None) = (&player.id, player.waiting) {
            let request = commit(id, player.generation, 1);
            let token = self.kit.send(GroupRequest::CommitOffsets(request));
            self.players[index].waiting = Some(token);
        }
    }

    fn leave(&mut self, index: usize) {
        let player = self.players[index].clone();
        if let (Some(id), None) = (&player.id, player.waiting) {
            self.left.insert(id.clone());
            let (group_id, members) = (GROUP.into(), vec![leaving(id, None)]);
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
        let said = classic.map_or(0, |classic| classic.recounted());
        assert_eq!(machine.cx.held.said, said);
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
            RebalanceCause::AssignmentNotStored { .. } => assert!(self.has_failed),
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
