# Run by package samba as "python3 -I -c", with the request on standard input.
# It answers by its exit status: 0 done (or nothing to do), 3 the stored hash is
# neither the recorded old one nor the new one, 4 no such account, 5 no pdbedit.
# "make" makes the account first, where there is none; "unmake" deletes one that
# still has the hash that was set, or that "make" had no time to give any.
import json
import os
import sys

from samba.samba3 import param, passdb

ACB_DISABLED, ACB_PWNOTREQ, ACB_NORMAL, ACB_AUTOLOCK = 0x1, 0x4, 0x10, 0x400

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


def find():
    try:
        return database.getsampwnam(request["user"])
    except passdb.error:
        return None


def flush():
    # tdbsam commits durably by itself. The smbpasswd backend writes its file in
    # place and leaves it to the cache; also where an earlier run was cut short.
    kind, _, path = backend.partition(":")
    if kind == "smbpasswd":
        with open(path or context.get("smb passwd file"), "rb") as file:
            os.fsync(file.fileno())


database = passdb.PDB(backend)
account, action = find(), request["action"]
if account is None and action == "make":
    database.create_user(request["user"], ACB_NORMAL)
    account = find()
if account is None:
    flush()
    sys.exit(0 if action == "unmake" else 4)
known = [key(request[which]["nt"]) for which in ("from", "to") if request[which]["nt"]]
bare = action != "set" and not account.nt_passwd
if account.nt_passwd not in known and not bare:
    sys.exit(3)
if action == "unmake":
    database.delete_sam_account(account)
    flush()
    sys.exit(0)

new = request["to"]
control = account.acct_ctrl & ~ACB_AUTOLOCK
for bit, wanted in ((ACB_DISABLED, new["disabled"]), (ACB_PWNOTREQ, new["no_password"])):
    control = control | bit if wanted else control & ~bit
wanted = (key(new["nt"]), control, new["changed"])
if wanted != (account.nt_passwd, account.acct_ctrl, account.pass_last_set_time):
    account.nt_passwd, account.acct_ctrl, account.pass_last_set_time = wanted
    database.update_sam_account(account)

flush()
