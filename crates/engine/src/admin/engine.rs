//! The admin's machine: runs commands side by side, asks again what may succeed later, and answers in time.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::{Backoff, Deadline, Instant, Machine, Outbox, Prng, Timers, Token};
use kohort_protocol::ErrorCode;

use super::begin::begin;
use super::command::AdminCommand;
use super::error::AdminError;
use super::event::{AdminAction, AdminEvent};
use super::work::{Item, Work};
use crate::client::{
    Client, ClientConfig, Cluster, NetAction, NetEvent, NetMachine, Reply, RequestId, Target,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// When a command is answered with what it has.
    Expire(Token),
    /// When a command's pending items are asked for again.
    Retry(Token),
}

#[derive(Debug)]
struct Running {
    work: Box<dyn Work>,
    timeout: Duration,
    deadline: Instant,
    /// Items to ask for.
    pending: BTreeSet<Item>,
    /// Items that wait for the answer to a request.
    asked: BTreeSet<Item>,
    /// Rounds in a row that left something open.
    failures: u32,
    not_before: Instant,
    /// Metadata up to this version is too old for it; 0 when any will do.
    stale_version: u64,
    last_failure: Option<String>,
}

#[derive(Debug)]
struct Question {
    command: Token,
    target: Target,
    items: Vec<Item>,
}

/// Runs administrative commands.
///
/// ```
/// use core::time::Duration;
/// use kohort_engine::admin::{AdminAction, AdminCommand, AdminEngine, AdminEvent};
/// use kohort_engine::client::ClientConfig;
/// use kohort_machine::{Instant, Machine, Token};
///
/// let mut admin = AdminEngine::new(ClientConfig::new([("localhost".into(), 9092)]), 7);
/// let command = AdminCommand::ListTopics { include_internal: false };
/// let (token, timeout) = (Token(0), Duration::from_secs(60));
/// admin.handle(Instant::ZERO, AdminEvent::Command { token, timeout, command: Box::new(command) });
/// assert!(matches!(admin.poll_action(), Some(AdminAction::Net(_))));
/// ```
#[derive(Debug)]
pub struct AdminEngine {
    client: Client,
    request_timeout: Duration,
    backoff: Backoff,
    prng: Prng,
    outbox: Outbox<AdminAction>,
    timers: Timers<Timer>,
    commands: BTreeMap<Token, Running>,
    questions: BTreeMap<RequestId, Question>,
}

impl AdminEngine {
    /// An admin that connects when its first command comes.
    pub fn new(config: ClientConfig, seed: u64) -> Self {
        let mut prng = Prng::from_seed(seed);
        Self {
            request_timeout: config.request_timeout,
            backoff: Backoff::new(config.retry_backoff, config.retry_backoff_max),
            client: Client::new(config, prng.next_u64()),
            prng,
            outbox: Outbox::new(),
            timers: Timers::new(),
            commands: BTreeMap::new(),
            questions: BTreeMap::new(),
        }
    }

    /// The newest metadata of brokers.
    pub fn cluster(&self) -> &Cluster {
        self.client.cluster()
    }

    fn on_command(&mut self, now: Instant, token: Token, timeout: Duration, command: AdminCommand) {
        let work = begin(command);
        let needs_fresh_metadata = work.needs_fresh_metadata();
        let version = self.client.cluster().version();
        let running = Running {
            pending: work.items(),
            work,
            timeout,
            deadline: now + timeout,
            asked: BTreeSet::new(),
            failures: 0,
            not_before: now,
            stale_version: if needs_fresh_metadata { version } else { 0 },
            last_failure: None,
        };
        self.timers.set(Timer::Expire(token), running.deadline);
        self.commands.insert(token, running);
        self.track_topics(now);
        if needs_fresh_metadata {
            self.client.refresh_metadata(now);
        }
        self.ask(now, token);
        self.finish_if_done(now, token);
    }

    fn track_topics(&mut self, now: Instant) {
        let topics: BTreeSet<_> = self
            .commands
            .values()
            .flat_map(|running| running.work.topics())
            .collect();
        self.client.track_topics(now, topics);
    }

    /// Asks for a command's pending items.
    fn ask(&mut self, now: Instant, token: Token) {
        let Some(running) = self.commands.get_mut(&token) else {
            return;
        };
        let cluster = self.client.cluster();
        let is_stale = running.stale_version > 0 && cluster.version() <= running.stale_version;
        if running.pending.is_empty() || running.not_before > now || is_stale {
            return;
        }
        let timeout = self.request_timeout.min(running.deadline - now);
        let asks = running.work.plan(cluster, &mut running.pending, timeout);
        if !running.pending.is_empty() {
            running
                .last_failure
                .get_or_insert_with(|| String::from("no broker is known that could be asked"));
            if cluster.version() == 0 {
                self.client.refresh_metadata(now);
            }
        }
        for ask in asks {
            running.asked.extend(ask.items.iter().cloned());
            let target = ask.target.clone();
            let id = self
                .client
                .request_with(now, ask.target, ask.api, ask.build, timeout);
            let question = Question {
                command: token,
                target,
                items: ask.items,
            };
            self.questions.insert(id, question);
        }
    }

    fn on_reply(&mut self, now: Instant, reply: Reply) {
        let Some(Question {
            command,
            target,
            items,
        }) = self.questions.remove(&reply.id)
        else {
            return;
        };
        let Some(running) = self.commands.get_mut(&command) else {
            return;
        };
        for item in &items {
            running.asked.remove(item);
        }
        let mut is_moved = false;
        let mut left: BTreeSet<Item> = items.iter().cloned().collect();
        match reply.result {
            Ok(body) => {
                for (item, answer) in running.work.read(&items, reply.node, body) {
                    if !left.remove(&item) {
                        continue;
                    }
                    match answer {
                        Ok(()) => {}
                        Err(refused) if running.work.is_retriable(refused.error) => {
                            let error = refused.error;
                            is_moved |= error.refreshes_metadata() || error == ErrorCode::NotController;
                            if error.refreshes_coordinator()
                                && let Target::Coordinator(group) = &target
                            {
                                self.client.forget_coordinator(now, group);
                            }
                            running.last_failure = Some(AdminError::from(refused).to_string());
                            running.pending.insert(item);
                        }
                        Err(refused) => running.work.fail(item, refused.into()),
                    }
                }
                if !left.is_empty() {
                    running.last_failure = Some(String::from("the broker left it out of its answer"));
                    running.pending.append(&mut left);
                }
            }
            Err(failure) if failure.is_retriable() => {
                running.last_failure = Some(failure.to_string());
                running.pending.append(&mut left);
            }
            Err(failure) => {
                for item in left {
                    running.work.fail(item, AdminError::Failed(failure.clone()));
                }
            }
        }
        if running.pending.is_empty() {
            running.failures = 0;
        } else if running.asked.is_empty() {
            running.failures = running.failures.saturating_add(1);
            running.not_before = now + self.backoff.delay(running.failures, &mut self.prng);
            self.timers.set(Timer::Retry(command), running.not_before);
        }
        if is_moved {
            self.client.refresh_metadata(now);
        }
        self.finish_if_done(now, command);
    }

    fn finish_if_done(&mut self, now: Instant, token: Token) {
        let is_done = |running: &Running| running.pending.is_empty() && running.asked.is_empty();
        if self.commands.get(&token).is_some_and(is_done) {
            self.finish(now, token);
        }
    }

    /// Answers a command; what is not done has timed out.
    fn finish(&mut self, now: Instant, token: Token) {
        let Some(mut running) = self.take(now, token) else {
            return;
        };
        let open: Vec<Item> = running.pending.into_iter().chain(running.asked).collect();
        for item in open {
            let error = AdminError::TimedOut {
                timeout: running.timeout,
                last: running.last_failure.clone(),
            };
            running.work.fail(item, error);
        }
        let reply = Box::new(running.work.finish());
        self.outbox.push(AdminAction::Reply { token, reply });
    }

    /// Ends a command without an answer.
    fn take(&mut self, now: Instant, token: Token) -> Option<Running> {
        let running = self.commands.remove(&token)?;
        self.timers.cancel(&Timer::Expire(token));
        self.timers.cancel(&Timer::Retry(token));
        let open = self
            .questions
            .iter()
            .filter(|(_, question)| question.command == token);
        let open: Vec<RequestId> = open.map(|(id, _)| *id).collect();
        for id in open {
            self.questions.remove(&id);
            self.client.cancel(now, id);
        }
        self.track_topics(now);
        Some(running)
    }

    fn close(&mut self, now: Instant) {
        let all: Vec<Token> = self.commands.keys().copied().collect();
        for token in all {
            self.finish(now, token);
        }
        self.client.close();
    }

    fn run(&mut self, now: Instant) {
        loop {
            let mut has_news = false;
            while let Some(reply) = self.client.poll_reply() {
                has_news = true;
                self.on_reply(now, reply);
            }
            while self.client.poll_cluster_change().is_some() {
                has_news = true;
                let all: Vec<Token> = self.commands.keys().copied().collect();
                for token in all {
                    self.ask(now, token);
                }
            }
            if !has_news {
                break;
            }
        }
        while let Some(action) = self.client.poll_net() {
            self.outbox.push(AdminAction::Net(action));
        }
    }
}

impl Machine for AdminEngine {
    type Event = AdminEvent;
    type Action = AdminAction;

    fn handle(&mut self, now: Instant, event: AdminEvent) {
        match event {
            AdminEvent::Net(event) => self.client.handle_net(now, event),
            AdminEvent::Command {
                token,
                timeout,
                command,
            } => self.on_command(now, token, timeout, *command),
            AdminEvent::Abandon { token } => {
                self.take(now, token);
            }
            AdminEvent::Close => self.close(now),
        }
        self.run(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.client.handle_timeout(now);
        // What came in time counts.
        self.run(now);
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Expire(token) => self.finish(now, token),
                Timer::Retry(token) => self.ask(now, token),
            }
        }
        self.run(now);
    }

    fn poll_action(&mut self) -> Option<AdminAction> {
        self.outbox.pop()
    }

    fn next_deadline(&self) -> Option<Deadline> {
        let own = self.timers.next_deadline(|timer| match timer {
            Timer::Expire(_) => "answer a command with what it has",
            Timer::Retry(_) => "ask again",
        });
        Deadline::earliest(own, self.client.next_deadline())
    }
}

impl NetMachine for AdminEngine {
    fn net(event: NetEvent) -> AdminEvent {
        AdminEvent::Net(event)
    }

    fn split(action: AdminAction) -> Result<NetAction, AdminAction> {
        match action {
            AdminAction::Net(action) => Ok(action),
            other => Err(other),
        }
    }
}
