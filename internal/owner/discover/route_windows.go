package discover

import "golang.org/x/sys/windows"

const errNoRoute = windows.WSAEHOSTUNREACH
