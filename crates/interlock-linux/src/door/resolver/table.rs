//! Which names led a session to which addresses: what an address is judged by when somebody connects to it.
//!
//! INVARIANT: an address is here under a name only if this session's programs were given it for that name, or the machine's own file of hosts says so. Nothing that a
//! session does takes the address of one name to another name.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Addresses kept. Past it those that were answered longest ago are forgotten, a quarter at a time: who connects there asks again.
const ADDRESSES_MAX: usize = 16_384;
/// Names of one address, the last ones.
const NAMES_MAX: usize = 32;
/// Names of which it is remembered that they were recorded; past it all are recorded again.
const RECORDED_MAX: usize = 16_384;
/// Names that got an address of nobody's, which is never given to another.
const STANDING_IN_MAX: u32 = 65_000;
/// Where those addresses begin: 198.19.0.0/16, to which no route leads out of a network (RFC 2544), and of which proxies that make up addresses take none.
const FIRST: u32 = 0xc613_0001;

/// The table of a session.
#[derive(Default)]
pub struct Table(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    led: HashMap<IpAddr, Led>,
    standing_in: HashMap<Arc<str>, Ipv4Addr>,
    recorded: HashSet<(Arc<str>, bool)>,
    /// Counts answers, which tells what is older.
    now: u64,
}

struct Led {
    /// The last one first.
    names: Vec<Arc<str>>,
    /// When it was answered last; never for what stays.
    answered: Option<u64>,
    /// Whether it stands for a name that was not asked for outside. Whatever else is answered with it, it means that name alone.
    stands_in: bool,
}

impl Table {
    /// Notes what the machine itself says of a name.
    pub fn know(&self, name: &str, addresses: &[IpAddr]) {
        self.lock().note(name, addresses, true);
    }

    /// Notes that these addresses are about to be answered for a name.
    pub fn answer(&self, name: &str, addresses: &[IpAddr]) {
        self.lock().note(name, addresses, false);
    }

    /// The address that stands for a name which is not asked for outside: always the same. Nothing where there are too many.
    pub fn stand_in(&self, name: &str) -> Option<Ipv4Addr> {
        let mut inner = self.lock();
        if let Some(address) = inner.standing_in.get(name) {
            return Some(*address);
        }
        let number = u32::try_from(inner.standing_in.len()).ok().filter(|number| *number < STANDING_IN_MAX)?;
        let address = Ipv4Addr::from(FIRST + number);
        inner.standing_in.insert(name.into(), address);
        inner.led.insert(address.into(), Led { names: vec![name.into()], answered: None, stands_in: true });
        Some(address)
    }

    /// The names that led to an address, the last one first.
    pub fn names(&self, address: IpAddr) -> Vec<Arc<str>> {
        self.lock().led.get(&address).map(|led| led.names.clone()).unwrap_or_default()
    }

    /// The name that an address stands for.
    pub fn stood_for(&self, address: IpAddr) -> Option<Arc<str>> {
        self.lock().led.get(&address).filter(|led| led.stands_in).and_then(|led| led.names.first().cloned())
    }

    /// Whether this is the first time that it is asked, of the session or `outside`: then it is recorded.
    pub fn is_first(&self, name: &str, outside: bool) -> bool {
        let mut inner = self.lock();
        if inner.recorded.len() >= RECORDED_MAX {
            inner.recorded.clear();
        }
        inner.recorded.insert((name.into(), outside))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn note(&mut self, name: &str, addresses: &[IpAddr], stays: bool) {
        self.now += 1;
        for address in addresses.iter().map(IpAddr::to_canonical) {
            if self.led.len() >= ADDRESSES_MAX && !self.led.contains_key(&address) {
                self.forget();
            }
            let now = (!stays).then_some(self.now);
            let led = self.led.entry(address).or_insert(Led { names: Vec::new(), answered: now, stands_in: false });
            if led.stands_in {
                continue;
            }
            led.answered = led.answered.and(now);
            match led.names.iter().position(|known| **known == *name) {
                Some(at) => led.names.get_mut(..=at).unwrap_or_default().rotate_right(1),
                None => led.names.insert(0, name.into()),
            }
            led.names.truncate(NAMES_MAX);
        }
    }

    fn forget(&mut self) {
        let mut times: Vec<u64> = self.led.values().filter_map(|led| led.answered).collect();
        times.sort_unstable();
        let oldest = times.get(times.len() / 4).copied().unwrap_or(u64::MAX);
        self.led.retain(|_, led| led.answered.is_none_or(|answered| answered > oldest));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn names(table: &Table, at: &str) -> Vec<String> {
        table.names(address(at)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_address_has_the_names_that_led_there_the_last_one_first() {
        let table = Table::default();
        table.answer("a.example", &[address("203.0.113.7"), address("2606:4700::1")]);
        table.answer("b.example", &[address("203.0.113.7")]);
        assert_eq!(names(&table, "203.0.113.7"), ["b.example", "a.example"]);
        table.answer("a.example", &[address("::ffff:203.0.113.7")]);
        assert_eq!(names(&table, "203.0.113.7"), ["a.example", "b.example"]);
        assert_eq!(names(&table, "2606:4700::1"), ["a.example"]);
        assert!(names(&table, "203.0.113.8").is_empty());
    }

    #[test]
    fn what_stands_in_for_a_name_is_its_own_for_good() {
        let table = Table::default();
        let first = table.stand_in("a.example").unwrap();
        assert_ne!(table.stand_in("b.example").unwrap(), first);
        assert_eq!(table.stand_in("a.example"), Some(first));
        table.answer("evil.example", &[first.into(), address("203.0.113.7")]);
        assert_eq!((table.stood_for(first.into()).as_deref(), table.names(first.into()).len()), (Some("a.example"), 1));
        assert_eq!(table.stood_for(address("203.0.113.7")), None);
    }

    #[test]
    fn memory_is_bounded_and_what_the_machine_says_stays() {
        let table = Table::default();
        table.know("git.example", &[address("192.0.2.7")]);
        for number in 0..2 * u32::try_from(ADDRESSES_MAX).unwrap() {
            table.answer("many.example", &[Ipv4Addr::from(0x0900_0000 + number).into()]);
        }
        assert!(table.lock().led.len() <= ADDRESSES_MAX);
        assert_eq!(names(&table, "192.0.2.7"), ["git.example"]);
        assert_eq!(table.names(Ipv4Addr::from(0x0900_0000 + 2 * u32::try_from(ADDRESSES_MAX).unwrap() - 1).into()).len(), 1);
        for number in 0..2 * NAMES_MAX {
            table.answer(&format!("n{number}.example"), &[address("203.0.113.7")]);
        }
        assert_eq!(names(&table, "203.0.113.7").len(), NAMES_MAX);
    }
}
