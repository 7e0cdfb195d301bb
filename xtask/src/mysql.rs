//! MySQL 9.7 of Debian sid: yields the folder that has it, or why it is not there.
//!
//! The packages are unpacked, not installed: the programs run from the folder with the loader and libraries that lie
//! beside them, whatever this machine has, and neither root nor a chroot is needed.

use std::path::PathBuf;

use crate::cache;
use crate::stage::{Failure, Stage};

/// The folder of another version, or of another way to make it, has another name.
const FOLDER: &str = "mysql-9.7";
/// What the server has to say of itself: sid moves on.
const VERSION: &str = "  Ver 9.7.";

/// Fetches and unpacks into the empty folder `$1`. apt gets a state of its own, in which nothing is installed, so it
/// fetches every library too and touches nothing of the system. A launcher goes by its own place: the folder can be
/// moved.
const MAKE: &str = r#"
cd "$1"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$keyring" ] || { echo "$keyring is missing: install debian-archive-keyring" >&2; exit 1; }
mkdir -p apt/lists/partial apt/cache/archives/partial unpacked bin lib
: > apt/status
echo "deb [signed-by=$keyring] http://deb.debian.org/debian sid main" > apt/sources.list
fetch() {
    apt-get -qq -o "Dir::Etc::SourceList=$PWD/apt/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
        -o "Dir::State::Lists=$PWD/apt/lists" -o "Dir::State::status=$PWD/apt/status" -o "Dir::Cache=$PWD/apt/cache" \
        -o Debug::NoLocking=1 -o APT::Sandbox::User= "$@"
}
fetch update
fetch install -y --no-install-recommends --download-only mysql-server-core mysql-client-core
for package in apt/cache/archives/*.deb; do dpkg -x "$package" unpacked; done
mkdir -p programs/sbin programs/bin programs/lib/mysql programs/share
mv unpacked/usr/lib/*/*.so* lib
mv unpacked/usr/lib/mysql/plugin programs/lib/mysql
mv unpacked/usr/share/mysql programs/share
for program in sbin/mysqld bin/mysql bin/mysqldump bin/mysqlbinlog bin/mysqladmin; do
    mv "unpacked/usr/$program" "programs/$program"
    launcher="bin/${program##*/}"
    printf '#!/bin/sh\nfolder=${0%%/*}/..\nexec "$folder"/lib/ld-linux*.so.* --library-path "$folder/lib" "$folder/programs/%s" "$@"\n' \
        "$program" > "$launcher"
    chmod 755 "$launcher"
done
rm -rf apt unpacked
"#;

/// Gives the folder of its launchers, for `PATH`, in the user's cache; makes it when it is not there yet.
///
/// # Errors
/// When it can't be made; the message's first line says why.
pub(crate) fn ensure() -> Result<PathBuf, Failure> {
    let folder = cache::folder(FOLDER)?;
    let made = cache::ensure(&folder, |half_made| {
        println!("\n==> fetching MySQL 9.7 of Debian sid into {}", folder.display());
        let words = ["-eu", "-c", MAKE, "fetch-mysql"].map(Into::into);
        Stage::new("sh", words.into_iter().chain([half_made.as_os_str().to_owned()])).read()?;
        let said = Stage::new(half_made.join("bin/mysqld"), ["--version"]).read()?;
        if said.contains(VERSION) {
            Ok(())
        } else {
            Err(Failure::new(format!("Debian sid has another version by now: {}", said.trim())))
        }
    });
    made.map_err(|failure| {
        // The last that apt said is the reason.
        let why = failure.message.lines().last().unwrap_or_default();
        Failure::new(format!("MySQL 9.7 of Debian sid could not be fetched: {why}"))
    })?;
    Ok(folder.join("bin"))
}
