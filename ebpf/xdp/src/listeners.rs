//! [`Listeners`] over the maps.

use openclaw_common::{abi::Served, packet::Address, syn::Listeners};

use crate::{arrival::Arrival, maps};

pub(crate) struct KernelListeners;

impl Listeners for KernelListeners {
    type Word = Arrival;

    #[inline(always)]
    fn is_served(&self, address: Address, port: u16) -> bool {
        maps::SERVED.get_ptr(Served::new(address, port)).is_some()
    }

    #[inline(always)]
    fn count_syn(&self) {
        maps::count_syn();
    }

    #[inline(always)]
    fn kept(&self, slot: u32) -> Option<Arrival> {
        maps::KEEP.get_ptr_mut(slot).map(Arrival::at)
    }

    #[inline(always)]
    fn answers(&self) -> Option<Arrival> {
        maps::ANSWERS.get_ptr_mut(0).map(Arrival::at)
    }
}
