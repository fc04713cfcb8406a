//! Loaded objects, as `_dl_find_object` (glibc 2.35 and later) tells them: without the loader's lock, so in any hook.
//!
//! Invariant: what is said of an object is true as long as it is loaded. An object is loaded as long as a call into its
//! code has not returned.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// `struct dl_find_object` of `<dlfcn.h>` on x86-64.
#[repr(C)]
struct Found {
    flags: u64,
    map_start: usize,
    map_end: usize,
    link_map: *const c_void,
    unwind_table: usize,
    reserved: [u64; 7],
}

type FindObject = unsafe extern "C" fn(*mut c_void, *mut Found) -> c_int;

static FIND_OBJECT: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());

/// Looks the function up. Not for hooks: it asks the loader.
pub(super) fn resolve() {
    // SAFETY: a plain look-up of a name.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_dl_find_object".as_ptr()) };
    FIND_OBJECT.store(found, Ordering::Relaxed);
}

/// How many objects had been loaded, ever, when it was asked last.
static LOADED_WHEN_ASKED: AtomicU64 = AtomicU64::new(0);

/// Whether objects were loaded since this was asked last. Not for hooks of allocation: see [`changes`].
pub(crate) fn any_loaded_since_asked() -> bool {
    let (loaded, _) = changes();
    LOADED_WHEN_ASKED.swap(loaded, Ordering::Relaxed) != loaded
}

/// How many objects were ever loaded, and how many unloaded. It takes the loader's lock.
pub(crate) fn changes() -> (u64, u64) {
    unsafe extern "C" fn first(
        object: *mut libc::dl_phdr_info,
        _size: usize,
        counts: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader gives its description of an object, the caller below two counters.
        unsafe { *counts.cast::<(u64, u64)>() = ((*object).dlpi_adds, (*object).dlpi_subs) };
        1
    }
    let mut counts = (0, 0);
    // SAFETY: the function is called before this returns, with the counters.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut counts).cast()) };
    counts
}

/// Whether objects can be found.
pub(crate) fn can_be_found() -> bool {
    !FIND_OBJECT.load(Ordering::Relaxed).is_null()
}

/// A loaded object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadedObject {
    /// Its first mapped byte.
    pub(crate) start: usize,
    /// Its last mapped byte + 1.
    pub(crate) end: usize,
    /// Address of its `.eh_frame_hdr`.
    pub(crate) unwind_table: usize,
}

/// The object that an address of code lies in, if it has an unwind table.
pub(crate) fn of_code(address: usize) -> Option<LoadedObject> {
    let function = FIND_OBJECT.load(Ordering::Relaxed);
    if function.is_null() {
        return None;
    }
    // SAFETY: what `dlsym` found under this name has this type by glibc's declaration; it reads the loader's tables and
    // fills `found`, for which all zeroes is a value.
    let found = unsafe {
        let function: FindObject = core::mem::transmute(function);
        let mut found: Found = core::mem::zeroed();
        if function(address as *mut c_void, &raw mut found) != 0 {
            return None;
        }
        found
    };
    (found.unwind_table != 0).then_some(LoadedObject {
        start: found.map_start,
        end: found.map_end,
        unwind_table: found.unwind_table,
    })
}

/// Whether two functions are of one object. Not for hooks: it asks the loader.
pub(crate) fn are_in_one(function: usize, other: usize) -> bool {
    let base = |function: usize| {
        // SAFETY: `Dl_info` is plain data, for which all zeroes is a value; dladdr fills it or says no.
        unsafe {
            let mut place: libc::Dl_info = core::mem::zeroed();
            (libc::dladdr(function as *const c_void, &raw mut place) != 0)
                .then_some(place.dli_fbase)
        }
    };
    base(function) == base(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_lies_in_an_object_and_data_elsewhere_in_none() {
        resolve();
        assert!(can_be_found());
        let here = code_lies_in_an_object_and_data_elsewhere_in_none as *const () as usize;
        let object = of_code(here).expect("this program is loaded");
        assert!((object.start..object.end).contains(&here) && object.unwind_table < object.end);
        assert!(are_in_one(here, here + 1));
        assert!(!are_in_one(here, libc::getpid as *const () as usize));
        let boxed = Box::new(1);
        assert!(of_code(core::ptr::from_ref(&*boxed) as usize).is_none());
    }
}
