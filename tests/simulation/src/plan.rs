//! What befalls a run, and when: drawn from the seed before it begins. Each kind of fault is on in some seeds and off in others, so that
//! none hides behind another.

use std::collections::BTreeMap;

use sagaline_log::simulated::Faults;
use sagaline_schemas::Millis;

use crate::chance::Chance;
use crate::setup::Story;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;

/// What domain events tell, of orders by their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// An order's state.
    State { order: usize, state: &'static str, seq: i64 },
    /// A product's level.
    Level { product: usize, level: i64, seq: i64 },
    /// A letter that the order may wait for; `n` of 0 is none that it waits for.
    Letter { order: usize, n: i64 },
    /// A partner names the order by its own reference.
    Reference { order: usize },
}

/// One thing that befalls the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// An order is placed; a number below the run's orders. The same number again: the same order again.
    Order(usize),
    /// An event that is no order.
    Nonsense,
    /// The world tells something.
    Tell(News),
    /// Somebody does something to some saga.
    Person,
    /// Somebody pauses something, or lets all go on.
    Word { pause: bool },
    /// Somebody cancels an order, which may not be there.
    Cancel(usize),
    /// The same request comes a second time.
    RepeatRequest,
    /// A node loses power.
    Crash { node: usize, millis: Millis },
    /// A node sleeps, and wakes up as a zombie.
    Sleep { node: usize, millis: Millis },
    /// A node's ingress loses its memory.
    CrashIngress { node: usize },
    /// All nodes lose power.
    Outage { millis: Millis },
    /// A participant is away.
    Down { participant: usize, millis: Millis },
    /// What a participant needs is away, and it says so.
    Out { participant: usize, millis: Millis },
    /// The broker's clock is set.
    BrokerClock { skew: Millis },
    /// A topic refuses all appends.
    Refuse { topic: usize },
    /// A topic holds all appends back.
    Stall { topic: usize },
    /// All topics take appends again.
    Mend,
    /// Somebody writes to the inbox who may not.
    Forge,
    /// A record of some topic comes a second time, long after.
    Echo,
}

/// A run's plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What happens, by time since the beginning.
    pub acts: BTreeMap<(Millis, u64), Act>,
    /// The log's own faults while the storm lasts.
    pub faults: Faults,
    /// What sagas there are.
    pub story: Story,
    /// Orders that are placed.
    pub orders: usize,
    /// Inbox partitions.
    pub partitions: u32,
    /// By how much each node's clock is ahead, milliseconds.
    pub skews: Vec<Millis>,
    /// When everything is mended.
    pub calm_at: Millis,
}

/// Topics that may break.
pub const BREAKABLE: [&str; 5] = ["inbox", "commands.inventory", "commands.payment", "commands.shipping", "events"];

struct Draft {
    plan: Plan,
    storm: Millis,
    numbered: u64,
}

impl Draft {
    fn at(&mut self, time: Millis, act: Act) {
        self.numbered += 1;
        self.plan.acts.insert((time, self.numbered), act);
    }

    /// Up to `most` times at any time of the storm, in half of the seeds.
    fn some(&mut self, chance: &mut Chance, most: i64, act: impl Fn(&mut Chance) -> Act) {
        if chance.strikes(500) {
            return;
        }
        for _ in 0..chance.within(1..=most) {
            let (time, act) = (chance.within(0..=self.storm), act(chance));
            self.at(time, act);
        }
    }
}

impl Plan {
    /// The plan of this seed.
    pub fn draw(chance: &mut Chance) -> Self {
        let storm = chance.within(30 * SECOND..=5 * MINUTE);
        let plan = Self {
            acts: BTreeMap::new(),
            faults: faults(chance),
            story: if chance.strikes(200) { Story::Orders } else { Story::Drawn },
            orders: chance.within(40..=60) as usize,
            partitions: chance.within(1..=2) as u32,
            skews: skews(chance),
            calm_at: storm,
        };
        let mut draft = Draft { plan, storm, numbered: 0 };
        draft.place_orders(chance);
        if draft.plan.story == Story::Drawn {
            draft.tell(chance);
            draft.people(chance);
        }
        draft.break_nodes(chance);
        draft.break_topics(chance);
        draft.some(chance, 12, |_| Act::Forge);
        draft.some(chance, 60, |_| Act::Echo);
        draft.plan
    }

    /// The plan of an outage: answers pile up while nobody folds them.
    pub fn outage(orders: usize) -> Self {
        let plan = Self {
            acts: BTreeMap::new(),
            faults: Faults { landing_ms: 0..=5, acknowledgement_ms: 0..=5, ..Faults::default() },
            story: Story::Orders,
            orders,
            partitions: 1,
            skews: vec![0],
            calm_at: 4 * HOUR + 2 * MINUTE,
        };
        let mut draft = Draft { plan, storm: MINUTE, numbered: 0 };
        for order in 0..orders {
            draft.at(MINUTE + order as Millis, Act::Order(order));
        }
        draft.at(MINUTE + 150, Act::Outage { millis: 4 * HOUR });
        draft.plan
    }
}

impl Draft {
    fn place_orders(&mut self, chance: &mut Chance) {
        for order in 0..self.plan.orders {
            let time = chance.within(0..=self.storm * 3 / 4);
            self.at(time, Act::Order(order));
            if chance.strikes(200) {
                let again = chance.within(time..=self.storm);
                self.at(again, Act::Order(order));
            }
            if chance.strikes(250) {
                let cancel = time + chance.within(0..=20 * SECOND);
                self.at(cancel, Act::Cancel(order));
            }
        }
        self.some(chance, 4, |_| Act::Nonsense);
        self.some(chance, 4, |_| Act::RepeatRequest);
    }

    /// News of every order, some before it is placed, some stale, some twice.
    fn tell(&mut self, chance: &mut Chance) {
        for order in 0..self.plan.orders {
            for _ in 0..chance.within(0..=3) {
                let time = chance.within(0..=self.storm);
                let news = match chance.index(5) {
                    0 | 1 => {
                        let state = ["new", "good", "good", "bad"][chance.index(4)];
                        News::State { order, state, seq: chance.within(1..=4) }
                    }
                    2 | 3 => News::Letter { order, n: chance.within(0..=2) },
                    _ => News::Reference { order },
                };
                if chance.strikes(200) {
                    let again = chance.within(time..=self.storm);
                    self.at(again, Act::Tell(news.clone()));
                }
                self.at(time, Act::Tell(news));
            }
        }
        self.some(chance, 12, |chance| {
            let (product, level, seq) = (chance.index(3), chance.within(0..=9), chance.within(1..=9));
            Act::Tell(News::Level { product, level, seq })
        });
    }

    fn people(&mut self, chance: &mut Chance) {
        self.some(chance, 40, |_| Act::Person);
        if chance.strikes(250) {
            let from = chance.within(0..=self.storm);
            let until = chance.within(from..=self.storm) + SECOND;
            self.at(from, Act::Word { pause: true });
            self.at(until, Act::Word { pause: false });
        }
    }

    fn break_nodes(&mut self, chance: &mut Chance) {
        let nodes = self.plan.skews.len();
        self.some(chance, 5, |chance| Act::Crash {
            node: chance.index(nodes),
            millis: chance.within(100..=30 * SECOND),
        });
        self.some(chance, 3, |chance| Act::Sleep {
            node: chance.index(nodes),
            millis: chance.within(SECOND..=2 * MINUTE),
        });
        self.some(chance, 4, |chance| Act::CrashIngress { node: chance.index(nodes) });
        self.some(chance, 3, |chance| Act::Down {
            participant: chance.index(3),
            millis: chance.within(SECOND..=3 * MINUTE),
        });
        self.some(chance, 2, |chance| Act::Out {
            participant: chance.index(3),
            millis: chance.within(SECOND..=20 * MINUTE),
        });
        if chance.strikes(80) {
            let (time, millis) = (chance.within(0..=self.storm), 4 * HOUR);
            self.at(time, Act::Outage { millis });
            self.plan.calm_at += millis;
        }
    }

    fn break_topics(&mut self, chance: &mut Chance) {
        self.some(chance, 3, |chance| Act::BrokerClock { skew: chance.within(-90 * SECOND..=90 * SECOND) });
        for stalls in [false, true] {
            if chance.strikes(300) {
                let topic = chance.index(BREAKABLE.len());
                let time = chance.within(0..=self.storm);
                self.at(time, if stalls { Act::Stall { topic } } else { Act::Refuse { topic } });
                let mended = time + chance.within(SECOND..=MINUTE);
                self.at(mended, Act::Mend);
            }
        }
    }
}

fn skews(chance: &mut Chance) -> Vec<Millis> {
    let nodes = if chance.strikes(600) { 2 } else { 1 };
    (0..nodes).map(|_| if chance.strikes(300) { chance.within(-25 * SECOND..=25 * SECOND) } else { 0 }).collect()
}

fn faults(chance: &mut Chance) -> Faults {
    let mut rate = |most: i64| if chance.strikes(500) { chance.within(1..=most) as u32 } else { 0 };
    let mut faults = Faults {
        unknown_landed: rate(40),
        unknown_lost: rate(40),
        duplicated: rate(40),
        orphan_lost: rate(800),
        read_error: rate(20),
        ..Faults::default()
    };
    faults.landing_ms = 0..=chance.within(1..=60) as u32;
    faults.acknowledgement_ms = 0..=chance.within(1..=60) as u32;
    faults
}
