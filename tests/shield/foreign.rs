//! Somebody else's XDP program on the interface: named, never displaced unasked, displaced when ordered.
#![expect(unsafe_code, reason = "a program of two instructions is loaded")]

use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use openclaw::shield::kernel::{Kernel, KernelError, Maps, Mode, Pins};
use openclaw_common::verdict::Reason;

use super::attach::Wire;
use super::net::{CLIENT4, INTERFACE, Net, SERVER4, inside};
use super::privileges::in_namespace;
use super::rig::{PinDir, load};
use crate::support::{Output, Proxy};

const PROG_LOAD: i32 = 5;
const OBJ_PIN: i32 = 6;
const XDP: u32 = 6;
/// Any other name than ours.
const NAME: &[u8; 12] = b"somebody_els";

#[repr(C)]
struct ProgLoad {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log: [u64; 2],
    version_and_flags: [u32; 2],
    name: [u8; 16],
}

#[repr(C)]
struct ObjPin {
    path: u64,
    fd: u32,
    flags: u32,
}

fn bpf<A>(command: i32, attributes: &A) -> u32 {
    let pointer: *const A = attributes;
    // SAFETY: the attributes are of the size given; what they point to lives in the callers.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, pointer, size_of::<A>()) };
    assert!(
        result >= 0,
        "bpf({command}): {}",
        io::Error::last_os_error()
    );
    u32::try_from(result).unwrap()
}

/// Pins a program that passes everything; it has no link.
fn pin_program(pins: &PinDir) -> PathBuf {
    std::fs::create_dir_all(&pins.0).unwrap();
    // r0 = XDP_PASS; exit
    let instructions: [u64; 2] = [0x2_0000_00b7, 0x95];
    let license = c"MIT";
    let mut name = [0; 16];
    name[..NAME.len()].copy_from_slice(NAME);
    let fd = bpf(
        PROG_LOAD,
        &ProgLoad {
            kind: XDP,
            count: 2,
            instructions: instructions.as_ptr().addr() as u64,
            license: license.as_ptr().addr() as u64,
            log: [0; 2],
            version_and_flags: [0; 2],
            name,
        },
    );
    let path = pins.0.join("other");
    let text = CString::new(path.to_str().unwrap()).unwrap();
    bpf(
        OBJ_PIN,
        &ObjPin {
            path: text.as_ptr().addr() as u64,
            fd,
            flags: 0,
        },
    );
    path
}

/// Puts it on an interface without a link, as iproute2 does.
fn attach(net: &Net, interface: &str, mode: &str, program: &Path) {
    let namespace = in_namespace(net);
    let program = program.to_str().unwrap();
    let line = [
        &namespace, "ip", "link", "set", "dev", interface, mode, "pinned", program,
    ];
    Output::of(Command::new("nsenter").args(line), "iproute2").ok();
}

fn busy(error: &KernelError) -> u32 {
    let KernelError::Busy { program, id, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(program.as_bytes(), NAME);
    *id
}

#[test]
fn another_program_is_named_and_stays_until_it_is_displaced_by_order() {
    let (net, pins, others) = (Net::new(), PinDir::new(), PinDir::new());
    attach(&net, INTERFACE, "xdpdrv", &pin_program(&others));
    let config = format!(
        "[shield]\ninterfaces = [\"{INTERFACE}\"]\npin_dir = \"{}\"\nblock = [\"{CLIENT4}\"]\n[listener.web]\nbind = [\"{SERVER4}:0\"]\n\
         [[route]]\nrespond = {{ body = \"hello\" }}\n",
        pins.0.display()
    );
    let namespace = in_namespace(&net);
    let proxy = Proxy::start_through(&config, 0, &["nsenter", &namespace], &[]);
    let wire = Wire::new(&net, SERVER4, CLIENT4);
    wire.assert_open();
    let refused = proxy.cli(&["shield", "attach", INTERFACE]);
    assert_eq!(refused.code, 1);
    let words = refused.stderr;
    assert!(
        words.contains("already runs the XDP program `somebody_els` (id ")
            && words.contains("--replace"),
        "{words}"
    );
    // Neither does a reload displace it.
    proxy.cli(&["reload"]).ok();
    wire.assert_open();
    proxy
        .cli(&["shield", "attach", INTERFACE, "--replace"])
        .ok();
    let status = proxy.cli(&["shield", "status"]).ok().text();
    let words = "oc0: native (took the place of the XDP program `";
    assert!(status.contains(words), "{status}");
    let maps = Maps::open(&Pins::new(&pins.0)).unwrap();
    wire.assert_dropped(&maps, Reason::Block);
}

#[test]
fn a_mode_that_the_driver_refuses_costs_nobody_the_other_one() {
    let (net, pins) = (Net::new(), PinDir::new());
    let config = format!(
        "[shield]\ninterfaces = [\"lo\"]\npin_dir = \"{}\"\n[listener.web]\nbind = [\"127.0.0.1:0\"]\n\
         [[route]]\nrespond = {{ body = \"hello\" }}\n",
        pins.0.display()
    );
    let namespace = in_namespace(&net);
    let proxy = Proxy::start_through(&config, 0, &["nsenter", &namespace], &[]);
    let refused = proxy.cli(&["shield", "attach", "lo", "--mode", "native"]);
    assert_eq!(refused.code, 1);
    let status = proxy.cli(&["shield", "status"]).ok().text();
    assert!(status.contains("lo: generic"), "{status}");
}

#[test]
fn what_is_held_by_a_link_is_its_owners_to_take_off() {
    let (net, pins, others) = (Net::new(), PinDir::new(), PinDir::new());
    let mut owner = load(&others);
    inside(&net.server, || owner.attach(INTERFACE, Mode::Native)).unwrap();
    let mut kernel = load(&pins);
    let error = inside(&net.server, || kernel.displace(INTERFACE, Mode::Auto)).unwrap_err();
    assert!(matches!(error, KernelError::Held { .. }), "{error}");
    assert!(
        error.to_string().contains("`bpftool link` names it"),
        "{error}"
    );
    let still = inside(&net.server, || Pins::new(&others.0).attachments()).unwrap();
    assert!(still[0].mode.is_some(), "{still:?}");
}

#[test]
fn what_made_way_in_vain_is_put_back() {
    let (net, pins, others) = (Net::new(), PinDir::new(), PinDir::new());
    attach(&net, "lo", "xdpgeneric", &pin_program(&others));
    let mut kernel: Kernel = load(&pins);
    inside(&net.server, || {
        let id = busy(&kernel.attach("lo", Mode::Auto).unwrap_err());
        // The loopback interface has no native mode.
        let error = kernel.displace("lo", Mode::Native).unwrap_err();
        assert!(matches!(error, KernelError::Attach { .. }), "{error}");
        assert_eq!(busy(&kernel.attach("lo", Mode::Auto).unwrap_err()), id);
        let attached = kernel.displace("lo", Mode::Auto).unwrap();
        let words = format!("the XDP program `somebody_els` (id {id})");
        assert_eq!(attached.displaced, Some(words));
        let attached = kernel.displace("lo", Mode::Auto).unwrap();
        assert_eq!((attached.displaced, attached.replaced), (None, true));
    });
}
