//! Names of hosts in a session: its programs' questions are answered here, so that each connect can be judged with the name that led to its address.
//!
//! `socket_maker` makes sockets whose questions arrive nowhere else, `answer` answers them, `upstream` asks the machine's own servers, `machine` is what that machine says of
//! names, `table` is what was answered. Left out: how a program's socket comes to be one of the helper's (`door::net::exchange`), and what is decided (docs/adr/0036).

pub mod answer;
pub mod machine;
pub mod socket_maker;
pub mod table;
pub mod upstream;

use machine::Machine;
use socket_maker::SocketMaker;
use table::Table;

/// What a session has to answer names.
pub struct Resolver {
    /// Who makes sockets, and where questions arrive.
    pub maker: SocketMaker,
    /// What led where.
    pub table: Table,
    /// Whom to ask, and what is known without.
    pub machine: Machine,
}

impl Resolver {
    /// With these sockets, on this machine.
    #[must_use]
    pub fn new(maker: SocketMaker) -> Self {
        let (machine, table) = (Machine::read(), Table::default());
        machine.hosts.iter().for_each(|(name, addresses)| table.know(name, addresses));
        Self { maker, table, machine }
    }
}
