// A loader as Go programs have it, on cilium/ebpf: builds a program from instructions, attaches it,
// and says once a second how often it ran, until it is told to end.
// usage: goloader kprobe SYMBOL | tracepoint GROUP/NAME | xdp DEVICE
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

const xdpPass = 2

// Adds 1 to the only value of the map, and returns 2: pass for XDP, ignored elsewhere.
func counting(counter *ebpf.Map) asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, counter.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("out"),
		asm.Return(),
	}
}

func attach(kind, target string, counter *ebpf.Map) (link.Link, error) {
	types := map[string]ebpf.ProgramType{"kprobe": ebpf.Kprobe, "tracepoint": ebpf.TracePoint, "xdp": ebpf.XDP}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "go_" + kind, Type: types[kind], License: "GPL", Instructions: counting(counter),
	})
	if err != nil {
		return nil, err
	}
	switch kind {
	case "kprobe":
		return link.Kprobe(target, program, nil)
	case "tracepoint":
		group, name, _ := strings.Cut(target, "/")
		return link.Tracepoint(group, name, program, nil)
	default:
		device, err := net.InterfaceByName(target)
		if err != nil {
			return nil, err
		}
		return link.AttachXDP(link.XDPOptions{
			Program: program, Interface: device.Index, Flags: link.XDPGenericMode,
		})
	}
}

func run(kind, target string) error {
	counter, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "go_counter", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1,
	})
	if err != nil {
		return err
	}
	attached, err := attach(kind, target, counter)
	if err != nil {
		return err
	}
	defer attached.Close()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	for {
		select {
		case <-end:
			return nil
		case <-time.After(time.Second):
			var count uint64
			if err := counter.Lookup(uint32(0), &count); err != nil {
				return err
			}
			fmt.Println("ran", count)
		}
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: goloader kprobe SYMBOL | tracepoint GROUP/NAME | xdp DEVICE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "goloader:", err)
		os.Exit(1)
	}
}
