//! The engine in a small world, in virtual time. Nothing here sleeps or asks for the time.

#[cfg(test)]
mod accounting;
#[cfg(test)]
mod agreeing;
#[cfg(test)]
mod approving;
#[cfg(test)]
mod arming;
#[cfg(test)]
mod autonomy;
#[cfg(test)]
mod budget_parts;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod calm;
#[cfg(test)]
mod climbing;
#[cfg(test)]
mod closing;
#[cfg(test)]
mod dead_legs;
#[cfg(test)]
mod disorder;
#[cfg(test)]
mod draining;
#[cfg(test)]
mod editing;
#[cfg(test)]
mod explaining;
#[cfg(test)]
mod failing;
#[cfg(test)]
mod gaining;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod homing;
#[cfg(test)]
mod legs;
#[cfg(test)]
mod planning;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod proving;
#[cfg(test)]
mod random;
#[cfg(test)]
mod recovering;
#[cfg(test)]
mod restarting;
#[cfg(test)]
mod scoring;
#[cfg(test)]
mod switching;
#[cfg(test)]
mod unrecorded;
#[cfg(test)]
mod watching;
#[cfg(test)]
mod weighing;
#[cfg(test)]
mod world;
