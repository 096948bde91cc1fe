"""Built-in sets of what stays with its owner: keys, tokens, password stores, profiles, histories.

Not in them, on purpose: `**/*.pem` (certificate bundles are public), the agents' own credentials (an agent must read
its own to work), and `.npmrc` files of projects (npm needs their settings).
"""

# ruff: noqa: S108 - patterns, not files of ours
from __future__ import annotations

from typing import Final

SECRETS: Final = (
    # Keys and what opens other machines.
    "~/.ssh/**",
    "~/.gnupg/**",
    "~/.putty/**",
    "~/.config/{sops,age}/**",
    "**/{id_rsa,id_dsa,id_ecdsa,id_ed25519,id_ecdsa_sk,id_ed25519_sk}",
    "**/*.{kdbx,p12,pfx,ppk}",
    # Clouds and clusters.
    "~/.{aws,azure,kube,oci,aliyun,bluemix,linode,scw,fly,databricks,snowsql}/**",
    "~/.config/{gcloud,doctl,hcloud,flyctl,scw,linode-cli,heroku,netlify,vercel,wrangler,.wrangler,rclone,op,s3cmd}/**",
    "~/.{s3cfg,boto,vault-token,terraformrc,databrickscfg,netrc,authinfo,authinfo.gpg,pgpass,my.cnf,mylogin.cnf,git-credentials,smbcredentials}",
    "~/.terraform.d/credentials.tfrc.json",
    "~/.config/{git/credentials,gh/hosts.yml,hub,glab-cli/**,tea/**}",
    "~/.docker/config.json",
    "~/.config/containers/auth.json",
    "/run/user/*/containers/auth.json",
    # Package clients: what publishes.
    "~/.{npmrc,yarnrc.yml,pypirc,gem/credentials,cargo/credentials,cargo/credentials.toml,nuget/NuGet.Config,m2/settings-security.xml}",
    "~/.config/{pypoetry/auth.toml,configstore/**}",
    "~/.local/share/uv/credentials/**",
    # Password stores, keyrings, browsers, mail.
    "~/.{password-store,local/share/keyrings,local/share/kwalletd,config/Bitwarden,config/1Password,config/keepassxc}/**",
    "~/.mozilla/**",
    "~/.thunderbird/**",
    "~/.config/{google-chrome,google-chrome-beta,chromium,BraveSoftware,microsoft-edge,vivaldi,opera,Slack,discord,Signal,Element}/**",
    "~/snap/{firefox,chromium,thunderbird}/**",
    "~/.var/app/*/{config,data,.mozilla}/**",
    # What was typed.
    "~/.{bash_history,zsh_history,zhistory,histfile,sh_history,ash_history,psql_history,mysql_history,rediscli_history}",
    "~/.local/share/fish/fish_history",
    "~/.local/state/bash/history",
    "@environment-files",
    "@credentials-in-cloud-images",
)

#: Of projects.
ENVIRONMENT_FILES: Final = ("**/.env", "**/.env.*")

CLOUD_IMAGES: Final = (
    "/etc/{shadow,gshadow,sudoers,krb5.keytab}",
    "/etc/{shadow,gshadow,passwd,group,subuid,subgid}-",
    "/etc/{sudoers.d,ssl/private,pki/tls/private,wireguard,openvpn,letsencrypt,kubernetes,rancher,NetworkManager/system-connections}/**",
    "/etc/ssh/ssh_host_*_key",
    "/etc/security/opasswd",
    "/run/secrets/**",
    "/var/run/secrets/**",
    "/run/credentials/**",
    "/var/lib/{docker,containerd,kubelet,rancher,cloud}/**",
    "/tmp/{krb5cc*,xauth*,.xauth*,serverauth.*}",
    "/var/tmp/krb5cc*",
    "/root/.{ssh,aws,gnupg,kube,docker,azure}/**",
)

#: What ssh and git need of a folder full of keys.
PUBLIC_SSH_FILES: Final = (
    "~/.ssh",
    "~/.ssh/{known_hosts,known_hosts.old,config}",
    "~/.ssh/config.d/**",
    "~/.ssh/*.pub",
    "@ssh-included",
)

EXCEPTIONS: Final = (
    "**/.env.{example,sample,template,dist,defaults,schema,test,ci}",
    "**/.env.*.{example,sample,template}",
    "@public-ssh-files",
)

#: What tools go by and what opens things, in one file: registries, proxies and certificates, tokens and passwords.
CLIENT_CONFIGURATION: Final = (
    "~/.{npmrc,yarnrc,yarnrc.yml,pypirc,netrc}",
    "~/{.config/pip,.pip,.config/uv,.config/pypoetry}/{pip.conf,uv.toml,config.toml}",
    "~/.cargo/{config,config.toml,credentials,credentials.toml}",
    "~/.m2/settings.xml",
    "~/.docker/config.json",
    "~/.config/containers/auth.json",
)

KEY_AGENTS: Final = (
    "/tmp/ssh-*/agent.*",
    "/run/user/*/{ssh-agent,openssh_agent,ssh-agent.socket,keyring/ssh,keyring/.ssh,gcr/ssh}",
    "/run/user/*/gnupg/**",
    "~/.gnupg/S.gpg-agent*",
    "~/.ssh/agent/**",
    "~/.{1password,bitwarden-ssh-agent}*/**",
)

SECRET_SETS: Final[dict[str, tuple[str, ...]]] = {
    "secrets": SECRETS,
    "environment-files": ENVIRONMENT_FILES,
    "secret-exceptions": EXCEPTIONS,
    "public-ssh-files": PUBLIC_SSH_FILES,
    "credentials-in-cloud-images": CLOUD_IMAGES,
    "client-configuration": CLIENT_CONFIGURATION,
    "key-agents": KEY_AGENTS,
}
