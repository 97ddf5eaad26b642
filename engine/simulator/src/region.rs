//! The cities of a country and of a continent: where people are.

mod europe;
mod france;

use crate::geo::Place;

/// A city and those who live around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct City {
    /// Its name in ASCII, lower case, as areas are named after it.
    pub name: &'static str,
    /// Its centre.
    pub at: Place,
    /// Thousands of people in its built-up area, rounded: a weight, no census.
    pub thousands: f64,
}

/// Where users live, and where data centres stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// Metropolitan France.
    France,
    /// The European Union, the United Kingdom, Norway and Switzerland, as far as their large cities.
    Europe,
}

impl Region {
    /// Its cities, the largest first within each country.
    pub fn cities(self) -> Vec<City> {
        let rows = match self {
            Self::France => france::CITIES,
            Self::Europe => europe::CITIES,
        };
        let city = |&(name, lat, lon, thousands): &(&'static str, f64, f64, f64)| City {
            name,
            at: Place { lat, lon },
            thousands,
        };
        // France's large cities are also Europe's.
        let home = match self {
            Self::France => &[][..],
            Self::Europe => france::CITIES,
        };
        rows.iter()
            .chain(home.iter().filter(|row| row.3 >= 400.0))
            .map(city)
            .collect()
    }

    /// How people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::France => "France",
            Self::Europe => "Europe",
        }
    }

    /// Location areas to draw unless told otherwise: about a hundred thousand people each.
    pub fn areas(self) -> usize {
        match self {
            Self::France => 640,
            Self::Europe => 4_800,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn cities_are_named_once_and_stand_in_their_region() {
        for (region, lats, lons) in [
            (Region::France, 41.0..51.5, -5.0..9.7),
            (Region::Europe, 35.0..66.0, -10.0..30.0),
        ] {
            let cities = region.cities();
            let names: BTreeSet<_> = cities.iter().map(|city| city.name).collect();
            assert_eq!(names.len(), cities.len(), "{region:?}");
            for city in cities {
                assert!(
                    lats.contains(&city.at.lat) && lons.contains(&city.at.lon),
                    "{city:?}"
                );
                assert!(city.thousands >= 40.0, "{city:?}");
                let plain = |c: char| c.is_ascii_lowercase() || c == '-';
                assert!(city.name.chars().all(plain), "{city:?}");
            }
        }
    }
}
