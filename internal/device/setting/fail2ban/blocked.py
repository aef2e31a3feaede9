# Prints the addresses that fail2ban has blocked and still would, as a JSON list.
# The database is opened for reading only.
import json, sqlite3, sys, time, urllib.parse

db = sqlite3.connect("file:" + urllib.parse.quote(sys.argv[1]) + "?mode=ro", uri=True, timeout=5)
rows = db.execute(
    "SELECT DISTINCT ip FROM bips WHERE bantime < 0 OR timeofban + bantime > ? ORDER BY ip LIMIT 10000",
    (time.time(),),
)
json.dump([r[0] for r in rows], sys.stdout)
