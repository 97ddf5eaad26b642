//! Places on the Earth, distances between them, and the round trip a distance costs.

use std::f64::consts::PI;

/// Mean radius of the Earth, kilometres.
const RADIUS: f64 = 6371.0;
/// Microseconds of round trip for each kilometre of straight line: three times the fibre's own round trip of 1 ms
/// each 100 km (section 5.4.1), since no cable is straight.
const MICROS_A_KM: f64 = 30.0;
/// What the user's radio leg adds, microseconds: bufferbloat in 4G networks (section 5.4.1).
pub const USER_LEG: u32 = 40_000;

/// A place: degrees north and east.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Degrees north, -90 to 90.
    pub lat: f64,
    /// Degrees east, -180 to 180.
    pub lon: f64,
}

impl Place {
    /// Along the great circle, kilometres (haversine formula).
    pub fn km_to(self, other: Self) -> f64 {
        let (a, b) = (self.lat.to_radians(), other.lat.to_radians());
        let half_lat = ((b - a) / 2.0).sin().powi(2);
        let half_lon = ((other.lon - self.lon).to_radians() / 2.0).sin().powi(2);
        let h = half_lat + a.cos() * b.cos() * half_lon;
        2.0 * RADIUS * h.sqrt().min(1.0).asin()
    }

    /// So many kilometres north and east; good for distances of a country.
    #[must_use]
    pub fn moved(self, north: f64, east: f64) -> Self {
        let degree = PI * RADIUS / 180.0;
        let lat = (self.lat + north / degree).clamp(-89.0, 89.0);
        let lon = self.lon + east / (degree * lat.to_radians().cos());
        Self { lat, lon }
    }

    /// The share of the way to `other`, 0 to 1, on the map.
    #[must_use]
    pub fn toward(self, other: Self, share: f64) -> Self {
        let between = |from: f64, to: f64| from + (to - from) * share;
        Self {
            lat: between(self.lat, other.lat),
            lon: between(self.lon, other.lon),
        }
    }
}

/// The round trip between two data centres, microseconds.
pub fn trunk(from: Place, to: Place) -> u32 {
    (MICROS_A_KM * from.km_to(to)).round() as u32
}

/// The round trip between a user and a data centre, microseconds.
pub fn leg(user: Place, dc: Place) -> u32 {
    USER_LEG + trunk(user, dc)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARIS: Place = Place {
        lat: 48.857,
        lon: 2.352,
    };
    const LYON: Place = Place {
        lat: 45.764,
        lon: 4.836,
    };

    #[test]
    fn a_thousand_kilometres_take_thirty_milliseconds_and_the_radio_leg_forty() {
        let far = PARIS.moved(-1000.0, 0.0);
        assert!(trunk(PARIS, far).abs_diff(30_000) <= 1);
        assert!(leg(PARIS, far).abs_diff(70_000) <= 1);
        assert!((PARIS.km_to(LYON) - 392.0).abs() < 3.0);
    }

    proptest! {
        #[test]
        fn round_trips_are_the_same_both_ways_and_detours_never_shorten_them(
            points in proptest::array::uniform3((-60.0..70.0, -170.0..170.0))
        ) {
            let [a, b, c] = points.map(|(lat, lon)| Place { lat, lon });
            prop_assert_eq!(trunk(a, b), trunk(b, a));
            prop_assert_eq!(trunk(a, a), 0);
            // Each is rounded to a microsecond.
            prop_assert!(trunk(a, c) <= trunk(a, b) + trunk(b, c) + 2);
        }
    }
}
