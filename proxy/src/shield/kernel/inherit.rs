//! What a build with another layout of maps has left attached. Its link is taken over, so that an upgrade leaves no gap: the kernel
//! exchanges the program behind a link, whatever maps the two have. Its maps go with its last link.

use std::{fs, io};

use super::{KernelError, Pins, interface};

impl Pins {
    /// Brings the link of an interface in from the directory of another layout, if it is attached by that one.
    pub(super) fn inherit(&self, interface: &str, index: u32) -> Result<(), KernelError> {
        let Some(attached) = interface::xdp(interface, index)? else {
            return Ok(());
        };
        for other in self.others()? {
            let link = other.link_info(interface)?;
            let is_its = |link: &super::sys::LinkInfo| {
                link.interface == index && link.program == attached.program
            };
            if !link.is_some_and(|link| is_its(&link)) {
                continue;
            }
            let failed = |source| KernelError::PinDir {
                path: other.directory().to_owned(),
                source,
            };
            fs::rename(other.link(interface), self.link(interface)).map_err(failed)?;
            tracing::info!(
                interface,
                from = %other.directory().display(),
                "takes over from a version with other maps"
            );
            if other.links()?.is_empty() {
                fs::remove_dir_all(other.directory()).map_err(failed)?;
            }
            return Ok(());
        }
        Ok(())
    }

    /// The directories of other layouts beside this one.
    pub(super) fn others(&self) -> Result<Vec<Self>, KernelError> {
        let own = self.directory();
        let Some(above) = own.parent() else {
            return Ok(Vec::new());
        };
        let failed = |source| KernelError::PinDir {
            path: above.to_owned(),
            source,
        };
        let entries = match fs::read_dir(above) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut others = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let is_layout = name
                .to_str()
                .and_then(|name| name.strip_prefix('v'))
                .is_some_and(|number| number.parse::<u32>().is_ok());
            if is_layout && entry.path() != own {
                others.push(Self::at(entry.path()));
            }
        }
        Ok(others)
    }
}
