package discover

import (
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/paperclip-nas/paperclip/internal/domain/nas"
)

// ipNetRow is MIB_IPNET_ROW2 of the IP Helper API.
type ipNetRow struct {
	address windows.RawSockaddrInet6 // a SOCKADDR_INET
	index   uint32
	luid    uint64
	mac     [32]byte
	macSize uint32
	state   uint32
	flags   uint32
	age     uint32
}

// The states of a row that is no answer: unreachable and incomplete.
const firstAnswered = 2

// neighbours reads the IP Helper API's table, as Get-NetNeighbor does.
func neighbours() ([]Neighbour, error) {
	helper := windows.NewLazySystemDLL("iphlpapi.dll")
	table, free := helper.NewProc("GetIpNetTable2"), helper.NewProc("FreeMibTable")
	for _, p := range []*windows.LazyProc{table, free} {
		if err := p.Find(); err != nil {
			return nil, err
		}
	}
	var start *struct {
		count uint32
		rows  [1]ipNetRow
	}
	if code, _, _ := table.Call(windows.AF_UNSPEC, uintptr(unsafe.Pointer(&start))); code != 0 {
		return nil, windows.Errno(code)
	}
	defer func() { _, _, _ = free.Call(uintptr(unsafe.Pointer(start))) }()
	var out []Neighbour
	for _, row := range unsafe.Slice(&start.rows[0], start.count) {
		if row.macSize != 6 || row.state < firstAnswered {
			continue
		}
		mac, ok := nas.NormalMAC(net.HardwareAddr(row.mac[:6]).String())
		if !ok {
			continue
		}
		switch row.address.Family {
		case windows.AF_INET:
			v4 := (*windows.RawSockaddrInet4)(unsafe.Pointer(&row.address))
			out = append(out, Neighbour{netip.AddrFrom4(v4.Addr), mac})
		case windows.AF_INET6:
			out = append(out, Neighbour{netip.AddrFrom16(row.address.Addr).Unmap(), mac})
		}
	}
	return out, nil
}
