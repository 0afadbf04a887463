//! The simulated network: connections with two ends that may believe different things. What is sent in one direction of a
//! connection arrives in order; connections do not wait for each other.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use kohort_engine::client::LinkId;
use kohort_machine::{Instant, Prng};
use kohort_node::ConnId;
use kohort_protocol::frame::RequestPeek;

use super::schedule::Schedule;
pub(crate) use crate::messages::Client;

/// What the network brings.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A client knocks at a broker.
    Knock(ConnId),
    /// The client learns that the connection stands.
    Stands(ConnId),
    /// The client learns that it does not.
    Refused(ConnId),
    /// A request is at the broker.
    Up(ConnId, Bytes),
    /// A reply is at the client.
    Down(ConnId, Bytes),
    /// The broker learns that the client is gone.
    ClientGone(ConnId),
    /// The client learns that the broker is gone.
    BrokerGone(ConnId),
}

/// How a connection ends without either side wanting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// What is on its way to the broker is lost.
    BeforeTheBrokerActed,
    /// What is on its way to the client is lost.
    AfterTheBrokerActed,
    /// What is on its way to the broker arrives, but late: after requests of the next connection.
    LateRequests,
    /// Nothing passes any more, and nobody is told.
    HalfOpen,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    pub(crate) link: LinkId,
    pub(crate) broker: i32,
    /// The client believes that it stands, or will.
    pub(crate) is_open_at_client: bool,
    /// The broker believes that it stands.
    pub(crate) is_open_at_broker: bool,
    /// Nothing passes any more.
    is_silent: bool,
    loses_up: bool,
    loses_down: bool,
    /// Beside the usual delay, until then.
    slow: Option<(Duration, Instant)>,
    up_at: Instant,
    down_at: Instant,
    /// Requests that wait until the one before is answered.
    pub(crate) inbox: VecDeque<Bytes>,
    /// The request that the broker works on.
    pub(crate) in_work: Option<RequestPeek>,
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Network {
    connections: BTreeMap<ConnId, Connection>,
    by_link: BTreeMap<(Client, LinkId), ConnId>,
    issued: u64,
    delay: Duration,
    prng: Prng,
}

impl Network {
    pub(crate) fn new(seed: u64, delay: Duration) -> Self {
        Self {
            connections: BTreeMap::new(),
            by_link: BTreeMap::new(),
            issued: 1,
            delay,
            prng: Prng::from_seed(seed),
        }
    }

    pub(crate) fn get(&self, conn: ConnId) -> Option<&Connection> {
        self.connections.get(&conn)
    }

    pub(crate) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.connections.get_mut(&conn)
    }

    pub(crate) fn conn_of(&self, client: Client, link: LinkId) -> Option<ConnId> {
        self.by_link.get(&(client, link)).copied()
    }

    /// Connections of which at least one end believes that they stand, to choose one from.
    pub(crate) fn open(&self) -> Vec<ConnId> {
        let open = self
            .connections
            .iter()
            .filter(|(_, it)| it.is_open_at_client && it.is_open_at_broker);
        open.map(|(conn, _)| *conn).collect()
    }

    pub(crate) fn open_at_broker(&self) -> Vec<ConnId> {
        let open = self.connections.iter().filter(|(_, it)| it.is_open_at_broker);
        open.map(|(conn, _)| *conn).collect()
    }

    pub(crate) fn of_client(&self, client: Client) -> Vec<ConnId> {
        let own = self.connections.iter().filter(|(_, it)| it.client == client);
        own.map(|(conn, _)| *conn).collect()
    }

    /// A one-way delay.
    fn lag(&mut self) -> Duration {
        let nanos = u64::try_from(self.delay.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(1_000 + self.prng.below(nanos))
    }

    /// A client asks for a connection.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        schedule: &mut Schedule<Arrival>,
        client: Client,
        link: LinkId,
        broker: i32,
    ) {
        let conn = ConnId(self.issued);
        self.issued += 1;
        let connection = Connection {
            client,
            link,
            broker,
            is_open_at_client: true,
            is_open_at_broker: false,
            is_silent: false,
            loses_up: false,
            loses_down: false,
            slow: None,
            up_at: now,
            down_at: now,
            inbox: VecDeque::new(),
            in_work: None,
        };
        self.connections.insert(conn, connection);
        self.by_link.insert((client, link), conn);
        let at = self.arrival(now, conn, true);
        schedule.push(at, Arrival::Knock(conn));
    }

    /// When what is sent now arrives: in order within its direction.
    fn arrival(&mut self, now: Instant, conn: ConnId, is_up: bool) -> Instant {
        let mut at = now + self.lag();
        if let Some(connection) = self.connections.get_mut(&conn) {
            match connection.slow {
                Some((by, until)) if now < until => at = at + by,
                _ => connection.slow = None,
            }
            let last = match is_up {
                true => &mut connection.up_at,
                false => &mut connection.down_at,
            };
            at = at.max(*last + Duration::from_nanos(1));
            *last = at;
        }
        at
    }

    /// Sends towards the broker.
    pub(crate) fn send_up(
        &mut self,
        now: Instant,
        schedule: &mut Schedule<Arrival>,
        conn: ConnId,
        arrival: Arrival,
    ) {
        let at = self.arrival(now, conn, true);
        schedule.push(at, arrival);
    }

    /// Sends towards the client.
    pub(crate) fn send_down(
        &mut self,
        now: Instant,
        schedule: &mut Schedule<Arrival>,
        conn: ConnId,
        arrival: Arrival,
    ) {
        let at = self.arrival(now, conn, false);
        schedule.push(at, arrival);
    }

    /// Whether what arrives now at the broker does arrive.
    pub(crate) fn passes_up(&self, conn: ConnId) -> bool {
        let connection = self.connections.get(&conn);
        connection.is_some_and(|it| !it.is_silent && !it.loses_up)
    }

    /// Whether what arrives now at the client does arrive.
    pub(crate) fn passes_down(&self, conn: ConnId) -> bool {
        let connection = self.connections.get(&conn);
        connection.is_some_and(|it| !it.is_silent && !it.loses_down && it.is_open_at_client)
    }

    /// Ends a connection as `cut` says.
    pub(crate) fn cut(&mut self, now: Instant, schedule: &mut Schedule<Arrival>, conn: ConnId, cut: Cut) {
        let late = Duration::from_millis(200 + self.prng.below(1_800));
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        match cut {
            Cut::HalfOpen => {
                connection.is_silent = true;
                // The broker finds out one day; before that the client has given up.
                schedule.push(now + Duration::from_secs(6) + late, Arrival::ClientGone(conn));
                return;
            }
            Cut::BeforeTheBrokerActed => connection.loses_up = true,
            Cut::AfterTheBrokerActed => connection.loses_down = true,
            Cut::LateRequests => return self.cut_late(now, schedule, conn, late),
        }
        self.send_down(now, schedule, conn, Arrival::BrokerGone(conn));
        self.send_up(now, schedule, conn, Arrival::ClientGone(conn));
    }

    /// What is sent from now on arrives so late; soon the client gives the connection up.
    pub(crate) fn cut_late(
        &mut self,
        now: Instant,
        schedule: &mut Schedule<Arrival>,
        conn: ConnId,
        late: Duration,
    ) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.loses_down = true;
            connection.slow = Some((late, now + late));
            schedule.push(now + late / 4, Arrival::BrokerGone(conn));
            schedule.push(now + late * 3, Arrival::ClientGone(conn));
        }
    }

    /// Makes a connection slow for a while.
    pub(crate) fn slow_down(&mut self, conn: ConnId, by: Duration, until: Instant) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.slow = Some((by, until));
        }
    }

    /// Nothing is slow any more.
    pub(crate) fn speed_up(&mut self) {
        for connection in self.connections.values_mut() {
            connection.slow = None;
        }
    }

    /// Forgets what both ends have closed.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.get(&conn)
            && !connection.is_open_at_client
            && !connection.is_open_at_broker
        {
            self.by_link.remove(&(connection.client, connection.link));
            self.connections.remove(&conn);
        }
    }
}
