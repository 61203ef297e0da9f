//! What the relay asks of the kernel, packed into the 64 bits that come back with the completion.

/// The end of a pair that bytes are read from.
#[derive(Clone, Copy)]
pub enum Side {
    Client = 0,
    Backend = 1,
}

/// What a completion answers; travels through the kernel in `user_data`.
#[derive(Clone, Copy)]
pub enum Operation {
    Accept { route: u32 },
    Connect { slot: u32 },
    Receive { slot: u32, from: Side },
    Send { slot: u32, from: Side, buffer: u16 },
}

impl Side {
    pub fn opposite(self) -> Self {
        match self {
            Side::Client => Side::Backend,
            Side::Backend => Side::Client,
        }
    }

    fn from_bit(bit: u64) -> Self {
        if bit & 1 == 0 { Side::Client } else { Side::Backend }
    }
}

impl Operation {
    /// Bits: slot or route 0-31, buffer 32-47, side 48, kind 56-57.
    pub fn encode(self) -> u64 {
        match self {
            Operation::Accept { route } => u64::from(route),
            Operation::Connect { slot } => 1 << 56 | u64::from(slot),
            Operation::Receive { slot, from } => 2 << 56 | (from as u64) << 48 | u64::from(slot),
            Operation::Send { slot, from, buffer } => {
                3 << 56 | (from as u64) << 48 | u64::from(buffer) << 32 | u64::from(slot)
            }
        }
    }

    pub fn decode(user_data: u64) -> Self {
        let slot = user_data as u32;
        let from = Side::from_bit(user_data >> 48);
        match user_data >> 56 {
            0 => Operation::Accept { route: slot },
            1 => Operation::Connect { slot },
            2 => Operation::Receive { slot, from },
            _ => Operation::Send { slot, from, buffer: (user_data >> 32) as u16 },
        }
    }
}
