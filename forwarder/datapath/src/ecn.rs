//! Explicit congestion notification through a tunnel (RFC 6040, as RFC 9300 section 5.3 asks).

/// The two ECN bits of a traffic class (IANA "ECN Field").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ecn {
    /// 00: the transport does not understand marks.
    NotCapable,
    /// 10.
    Capable0,
    /// 01.
    Capable1,
    /// 11: congestion experienced.
    Congested,
}

impl Ecn {
    /// The ECN bits of a traffic class.
    pub const fn of(traffic_class: u8) -> Self {
        match traffic_class & 0b11 {
            0b00 => Self::NotCapable,
            0b10 => Self::Capable0,
            0b01 => Self::Capable1,
            _ => Self::Congested,
        }
    }

    /// The bits, for the low end of a traffic class.
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotCapable => 0b00,
            Self::Capable0 => 0b10,
            Self::Capable1 => 0b01,
            Self::Congested => 0b11,
        }
    }

    /// What leaves the tunnel (RFC 6040 section 4.2, Figure 4). `None`: the packet must be dropped, since congestion
    /// was met and its transport would not understand the mark.
    pub const fn after_decapsulation(inner: Self, outer: Self) -> Option<Self> {
        match (inner, outer) {
            (Self::NotCapable, Self::Congested) => None,
            (Self::NotCapable, _) => Some(Self::NotCapable),
            (_, Self::Congested) | (Self::Congested, _) => Some(Self::Congested),
            (Self::Capable0, Self::Capable1) => Some(Self::Capable1),
            (inner, _) => Some(inner),
        }
    }
}

/// The inner traffic class after decapsulation: DSCP from the outer header (RFC 9300 section 5.3), ECN as above.
/// `None`: drop.
pub const fn decapsulated_class(inner: u8, outer: u8) -> Option<u8> {
    match Ecn::after_decapsulation(Ecn::of(inner), Ecn::of(outer)) {
        Some(ecn) => Some(outer & !0b11 | ecn.bits()),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Ecn::{Capable0, Capable1, Congested, NotCapable};
    use super::*;

    #[test]
    fn every_cell_of_the_table_is_as_the_rfc_has_it() {
        // Rows: inner; columns: outer Not-ECT, ECT(0), ECT(1), CE.
        let table = [
            (
                NotCapable,
                [Some(NotCapable), Some(NotCapable), Some(NotCapable), None],
            ),
            (
                Capable0,
                [Some(Capable0), Some(Capable0), Some(Capable1), Some(Congested)],
            ),
            (
                Capable1,
                [Some(Capable1), Some(Capable1), Some(Capable1), Some(Congested)],
            ),
            (Congested, [Some(Congested); 4]),
        ];
        for (inner, row) in table {
            for (outer, expected) in [NotCapable, Capable0, Capable1, Congested].into_iter().zip(row) {
                assert_eq!(
                    Ecn::after_decapsulation(inner, outer),
                    expected,
                    "{inner:?} in {outer:?}"
                );
            }
        }
    }

    #[test]
    fn bits_and_names_agree() {
        for bits in 0..4 {
            assert_eq!(Ecn::of(0b1011_1000 | bits).bits(), bits);
        }
        assert_eq!(decapsulated_class(0b0000_0010, 0b1011_1011), Some(0b1011_1011));
        assert_eq!(decapsulated_class(0b0000_0000, 0b1011_1011), None);
    }
}
