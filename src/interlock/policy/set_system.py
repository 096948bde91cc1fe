"""Built-in sets of the machine: programs and public configuration, devices, toolchains.

`@system` lists public files of `/etc` one by one: nothing that only root should read, no keys, no passwords.
"""

from __future__ import annotations

from typing import Final

_ETC_FILES: Final = (
    "adjtime,bash.bashrc,bashrc,bindresvport.blacklist,ca-certificates.conf,crypttab.d,curlrc,debian_version,dircolors,"
    "environment,ethers,filesystems,fstab,gai.conf,gemrc,gitattributes,gitconfig,group,host.conf,hostname,hosts,hosts.allow,hosts.deny,"
    "inputrc,issue,issue.net,krb5.conf,ld.so.cache,ld.so.conf,ld.so.preload,lesskey,lesskey.bin,libaudit.conf,locale.alias,locale.conf,"
    "localtime,login.defs,lsb-release,machine-id,magic,magic.mime,mailcap,man_db.conf,manpath.config,mime.types,mke2fs.conf,"
    "motd,nanorc,netconfig,networks,npmrc,nsswitch.conf,os-release,papersize,paperspecs,passwd,pip.conf,profile,protocols,redhat-release,"
    "resolv.conf,rpc,screenrc,services,shells,subgid,subuid,sysctl.conf,system-release,timezone,tmux.conf,vconsole.conf,vimrc,"
    "wgetrc,xattr.conf,zprofile,zshenv,zshrc,alpine-release,arch-release,DIR_COLORS,mtab"
)
_ETC_DIRECTORIES: Final = (
    "alternatives,bash_completion.d,binfmt.d,ca-certificates,crypto-policies,dconf,emacs,fish,fonts,ghostscript,glvnd,gnutls,groff,"
    "gtk-2.0,gtk-3.0,ImageMagick-6,ImageMagick-7,iproute2,java,krb5.conf.d,ld.so.conf.d,libnl-3,magic.d,maven,modprobe.d,npm,OpenCL,opt,"
    "perl,php,profile.d,python,R,sgml,skel,ssh/ssh_config.d,ssl/certs,terminfo,texmf,udev/hwdb.d,update-motd.d,vim,vulkan,X11,xdg,xml,"
    "zsh,pki/tls/certs,pki/ca-trust,pki/java,apt/sources.list.d,apt/apt.conf.d,apt/preferences.d,dpkg,grep,nix,pip,conda"
)

SYSTEM: Final = (
    "/",
    "/usr/**",
    "/bin/**",
    "/sbin/**",
    "/lib/**",
    "/lib32/**",
    "/lib64/**",
    "/libx32/**",
    "/etc",
    "/etc/{" + _ETC_FILES + "}",
    "/etc/{" + _ETC_DIRECTORIES + "}/**",
    "/etc/{apt/sources.list,default/locale,default/keyboard,ssl/openssl.cnf,ssl/cert.pem,ssl/certs,pki/tls/cert.pem,pki/tls/openssl.cnf}",
    "/etc/{ssh/ssh_config,ssh/ssh_known_hosts,ssh/moduli,cron.allow,python*/**,java-*/**,postgresql-common/*.conf}",
    "/etc/{ssl,pki,pki/tls,ssh,apt,default,udev,security}",
    "/etc/{security/limits.conf,security/limits.d/**,security/pam_env.conf}",
    # What one process learns of itself, of its own session and of the machine. The door refuses other processes'
    # folders.
    "/proc",
    "/proc/[1-9]*/**",
    "/proc/{self,thread-self,mounts,net}",
    "/proc/{cmdline,cpuinfo,crypto,devices,diskstats,filesystems,interrupts,loadavg,meminfo,modules,partitions,softirqs,stat,swaps}",
    "/proc/{uptime,version,version_signature,vmstat,zoneinfo,buddyinfo,cgroups,misc,pagetypeinfo,consoles,locks,pressure/**,tty/**}",
    "/proc/sys/**",
    "/proc/driver/nvidia/**",
    "/sys",
    "/sys/devices/system/{cpu,node,memory,clocksource}/**",
    "/sys/devices/{pci*,virtual}/**/{size,rotational,queue,logical_block_size,vendor,device,uevent,numa_node}",
    "/sys/devices/virtual/net/**",
    "/sys/{block,class,bus,devices}",
    "/sys/class/{net,block,tty,drm,power_supply,thermal}",
    "/sys/fs/cgroup/**",
    "/sys/kernel/mm/{transparent_hugepage,hugepages}/**",
    "/sys/module/*/parameters/**",
    "/sys/power/state",
    "/dev",
    "/dev/{pts,fd,stdin,stdout,stderr,shm}",
    # Directories that programs list on their way; what lies in them is not meant.
    "/{home,mnt,media,opt,run,srv,tmp,var,var/lib,var/cache,var/log,var/tmp,run/user}",
    "/run/systemd/{resolve,userdb,machines}/**",
    "/run/{resolvconf,NetworkManager}/resolv.conf",
    "/run/{utmp,nscd}",
    "/var/lib/{dpkg,rpm,pacman,apt/lists,ca-certificates,alternatives,texmf,ghostscript,systemd/catalog}/**",
    "/var/cache/{fontconfig,man,ldconfig}/**",
)

DEVICES: Final = (
    "/dev/{null,zero,full,random,urandom,tty,ptmx}",
    "/dev/pts/[0-9]*",
    "/dev/pts/ptmx",
)

TOOLCHAINS: Final = (
    "/usr/local/**",
    "/opt/**",
    "/nix/**",
    "/gnu/store/**",
    "/snap/**",
    "/var/lib/snapd/snap/**",
    "/home/linuxbrew/.linuxbrew/**",
    "~/.{pyenv,nvm,fnm,volta,nodenv,rbenv,rvm,asdf,sdkman,jenv,goenv,rustup,bun,deno,dotnet,juliaup,ghcup,opam,elan,nimble,pub-cache}/**",
    "~/.cargo",
    "~/.cargo/{bin,registry,git}/**",
    "~/.cargo/{env,config,config.toml}",
    "~/.local",
    "~/.local/{bin,lib,opt,pipx}/**",
    "~/.local/share",
    "~/.local/share/{uv,pipx,mise,fnm,virtualenvs,pnpm,claude,rtx,pypoetry,hatch,man}/**",
    "~/go/**",
    "~/{miniconda3,anaconda3,miniforge3,mambaforge,.conda,.npm-global,.npm-packages,.yarn,.config/yarn/global}/**",
    "@git-included",
    "~/.{gitconfig,gitignore,gitignore_global,gitattributes,gitmessage}",
    "~/.config/{git,pip,uv,pycodestyle,flake8,ruff,mypy,black}/**",
    "~/.{gemrc,bundle/config,tool-versions,node-version,python-version,condarc,editorconfig,vimrc,inputrc,dircolors,terminfo/**}",
    "~/.{bashrc,bash_profile,bash_login,bash_aliases,bash_logout,profile,zshrc,zshenv,zprofile,zlogin}",
    "~",
    "~/.config",
)

SYSTEM_SETS: Final[dict[str, tuple[str, ...]]] = {
    "system": SYSTEM,
    "devices": DEVICES,
    "toolchains": TOOLCHAINS,
}
