# Run by package samba as "python3 -I -c", with the request on standard input.
# It answers by its exit status: 0 done (or nothing to do), 3 the stored hash is
# neither the recorded old one nor the new one, 4 no such account, 5 no pdbedit.
import json
import os
import sys

from samba.samba3 import param, passdb

ACB_DISABLED, ACB_PWNOTREQ, ACB_AUTOLOCK = 0x1, 0x4, 0x400

request = json.load(sys.stdin)
context = param.get_context()
context.load(request["config"])
backend = context.get("passdb backend")
if request["action"] == "probe":
    places = [os.path.join(place, request["pdbedit"]) for place in ("/usr/sbin", "/usr/bin", "/sbin", "/bin")]
    if not any(os.access(place, os.X_OK) for place in places):
        sys.exit(5)
    print(backend)
    sys.exit(0)


def key(text):
    value = bytes.fromhex(text)
    assert len(value) == 16  # the bindings read 16 bytes, whatever there is
    return value


database = passdb.PDB(backend)
try:
    account = database.getsampwnam(request["user"])
except passdb.error:
    sys.exit(4)
new = request["to"]
if account.nt_passwd not in (key(request["from"]["nt"]), key(new["nt"])):
    sys.exit(3)

control = account.acct_ctrl & ~ACB_AUTOLOCK
for bit, wanted in ((ACB_DISABLED, new["disabled"]), (ACB_PWNOTREQ, new["no_password"])):
    control = control | bit if wanted else control & ~bit
wanted = (key(new["nt"]), control, new["changed"])
if wanted != (account.nt_passwd, account.acct_ctrl, account.pass_last_set_time):
    account.nt_passwd, account.acct_ctrl, account.pass_last_set_time = wanted
    database.update_sam_account(account)

# tdbsam commits durably by itself. The smbpasswd backend writes its file in
# place and leaves it to the cache; also where an earlier run was cut short.
kind, _, path = backend.partition(":")
if kind == "smbpasswd":
    with open(path or context.get("smb passwd file"), "rb") as file:
        os.fsync(file.fileno())
