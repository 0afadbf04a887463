//! The driver with a machine of a few lines: order, time, the end.

use core::time::Duration;

use bytes::Bytes;
use kohort_engine::client::{LinkId, NetAction, NetEvent, NetMachine};
use kohort_machine::{Deadline, Instant, Machine, Outbox};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::{Clock, Driver, Host};
use crate::transport::Transport;

/// Connects when told to, sends one frame, and reports what happens and when.
#[derive(Default)]
struct Caller {
    outbox: Outbox<Action>,
    alarm: Option<Instant>,
}

enum Event {
    Net(NetEvent),
    Call,
    SetAlarm(Duration),
    HangUp,
}

enum Action {
    Net(NetAction),
    Report(String),
    End,
}

impl Machine for Caller {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, now: Instant, event: Event) {
        let link = LinkId(7);
        match event {
            Event::Call => {
                let (host, port) = ("broker".to_owned(), 9092);
                self.outbox
                    .push(Action::Net(NetAction::Connect { link, host, port }));
            }
            Event::SetAlarm(after) => self.alarm = Some(now + after),
            Event::HangUp => self.outbox.push(Action::End),
            Event::Net(NetEvent::Connected { link }) => {
                let segments = vec![Bytes::from_static(b"\0\0\0\x05he"), Bytes::from_static(b"llo")];
                self.outbox.push(Action::Net(NetAction::Send { link, segments }));
                self.outbox.push(Action::Report("connected".to_owned()));
            }
            Event::Net(NetEvent::Received { frame, .. }) => {
                self.outbox
                    .push(Action::Report(format!("received {}", frame.escape_ascii())));
            }
            Event::Net(
                NetEvent::Disconnected { reason, .. }
                | NetEvent::Unreadable { reason, .. }
                | NetEvent::ConnectFailed { reason, .. },
            ) => {
                self.outbox.push(Action::Report(reason));
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.alarm.is_some_and(|at| at <= now) {
            self.alarm = None;
            self.outbox
                .push(Action::Report(format!("alarm at {} ms", now.as_millis())));
        }
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.outbox.pop()
    }

    fn next_deadline(&self) -> Option<Deadline> {
        self.alarm.map(|at| Deadline { at, timer: "alarm" })
    }
}

impl NetMachine for Caller {
    fn net(event: NetEvent) -> Event {
        Event::Net(event)
    }

    fn split(action: Action) -> Result<NetAction, Action> {
        match action {
            Action::Net(net) => Ok(net),
            other => Err(other),
        }
    }
}

struct Reports {
    reports: mpsc::UnboundedSender<String>,
    is_finished: bool,
}

impl Host<Caller> for Reports {
    type Input = Event;

    fn accept(&mut self, input: Event) -> Event {
        input
    }

    fn abandoned(&mut self) -> Vec<Event> {
        vec![Event::HangUp]
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Report(report) => self.reports.send(report).expect("the test listens"),
            Action::End => self.is_finished = true,
            Action::Net(_) => unreachable!("taken out by `split`"),
        }
        None
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }
}

type Task = tokio::task::JoinHandle<()>;

fn start(
    transport: Transport,
) -> (
    mpsc::UnboundedSender<Event>,
    mpsc::UnboundedReceiver<String>,
    Task,
) {
    let (inputs, from_test) = mpsc::unbounded_channel();
    let (reports, to_test) = mpsc::unbounded_channel();
    let host = Reports {
        reports,
        is_finished: false,
    };
    let driver = Driver::new(
        Caller::default(),
        host,
        from_test,
        transport,
        1 << 20,
        Clock::start(),
    );
    (inputs, to_test, tokio::spawn(driver.run()))
}

/// A transport whose other ends come out of the channel.
fn in_memory() -> (Transport, mpsc::UnboundedReceiver<tokio::io::DuplexStream>) {
    let (ends, far) = mpsc::unbounded_channel();
    let transport = Transport::new(move |_, _| {
        let (near, end) = tokio::io::duplex(3);
        ends.send(end).expect("the test listens");
        core::future::ready(Ok(near))
    });
    (transport, far)
}

#[tokio::test(start_paused = true)]
async fn frames_go_out_whole_and_come_in_without_their_prefix() {
    let (transport, mut far) = in_memory();
    let (inputs, mut reports, _task) = start(transport);
    inputs.send(Event::Call).expect("the task runs");
    let mut end = far.recv().await.expect("it connects");
    assert_eq!(reports.recv().await.as_deref(), Some("connected"));
    let mut frame = [0; 9];
    end.read_exact(&mut frame).await.expect("a frame");
    assert_eq!(&frame, b"\0\0\0\x05hello");
    end.write_all(b"\0\0\0\x02hi\0\0\0\x00")
        .await
        .expect("it is read");
    assert_eq!(reports.recv().await.as_deref(), Some("received hi"));
    assert_eq!(reports.recv().await.as_deref(), Some("received "));
    drop(end);
    let end = reports.recv().await.expect("it ends");
    assert!(end.contains("closed the connection"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_connection_is_reported_in_the_systems_words() {
    let refused = || core::future::ready(Err::<tokio::net::TcpStream, _>(std::io::Error::other("no route")));
    let (inputs, mut reports, _task) = start(Transport::new(move |_, _| refused()));
    inputs.send(Event::Call).expect("the task runs");
    assert_eq!(reports.recv().await.as_deref(), Some("no route"));
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_drives_the_deadlines() {
    let (inputs, mut reports, _task) = start(in_memory().0);
    inputs
        .send(Event::SetAlarm(Duration::from_secs(45)))
        .expect("the task runs");
    assert_eq!(reports.recv().await.as_deref(), Some("alarm at 45000 ms"));
}

#[tokio::test(start_paused = true)]
async fn an_earlier_deadline_replaces_a_later_one() {
    let (inputs, mut reports, _task) = start(in_memory().0);
    inputs
        .send(Event::SetAlarm(Duration::from_secs(45)))
        .expect("the task runs");
    tokio::time::sleep(Duration::from_secs(1)).await;
    inputs
        .send(Event::SetAlarm(Duration::from_secs(2)))
        .expect("the task runs");
    assert_eq!(reports.recv().await.as_deref(), Some("alarm at 3000 ms"));
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_when_its_handle_is_gone_and_the_host_is_finished() {
    let (inputs, _reports, task) = start(in_memory().0);
    drop(inputs);
    task.await.expect("it ends");
}
