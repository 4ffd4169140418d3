#!/bin/sh
# An authority of your own, and a certificate for each member, for TLS between them.
#
#   sh certificates.sh DIR NAME=HOST[,HOST...]...
#   sh certificates.sh certificates n1=n1,localhost,127.0.0.1 n2=10.0.0.2
#
# NAME is a member (or a client); HOST is what others dial it by, a name or an address. DIR then has
# ca.pem, which all need, ca.key, which no member needs (keep it where you make certificates, and
# nowhere else), and NAME/member.pem and NAME/member.key. What exists is kept: call it again to add
# a member. DAYS says how long they are valid (default 825; the authority ten times as long).
set -eu
umask 077
directory=${1:?which directory?}
shift
days=${DAYS:-825}
mkdir -p "$directory"
cd "$directory"
new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }

if [ ! -e ca.key ]; then
    new_key ca.key
    openssl req -x509 -new -key ca.key -sha256 -days $((10 * days)) -subj "/CN=Quorate" \
        -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca.pem
fi
for member in "$@"; do
    name=${member%%=*}
    [ -e "$name/member.pem" ] && continue
    mkdir -p "$name"
    names=
    for host in $(printf %s "${member#*=}" | tr , ' '); do
        case $host in
            *:* | *[0-9].[0-9]*) names="$names,IP:$host" ;;
            *) names="$names,DNS:$host" ;;
        esac
    done
    new_key "$name/member.key"
    cat > "$name/extensions" <<END
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = ${names#,}
END
    openssl req -new -key "$name/member.key" -subj "/CN=$name" |
        openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -sha256 -days "$days" \
            -extfile "$name/extensions" -out "$name/member.pem" 2> /dev/null
    rm "$name/extensions"
    cp ca.pem "$name/ca.pem"
    echo "$directory/$name: for ${names#,}"
done
