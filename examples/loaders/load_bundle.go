// Loads a bundle of `bpfwarden sign` by system calls alone, on every kernel from 6.12 on, and pins
// its programs. What is done beside the call, where the kernel verifies no signature or no map, is
// in offer(): the same as in libbpfwarden (bpfwarden/load.h), which programs with cgo can call
// instead.
//
// usage: load_bundle BUNDLE KEYRING FOLDER
//
//	KEYRING  serial of the keyring to verify with: `keyctl id %:bpfwarden`
//	FOLDER   on bpffs; the programs become FOLDER/0, FOLDER/1 ...
//
// Linux 6.18 to 7.2 without bpfwarden want the bundle's other signature (docs/bundle.md), which is
// left out here.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sections of a bundle: docs/bundle.md.
const (
	manifestSection     = 1
	instructionsSection = 2
	metadataSection     = 3
	signatureSection    = 4
)

// What loads put their signatures into, and struct bw_load_signature: size, keyring, flags, a lock
// that nobody takes, then the signature.
const (
	signatures     = "/sys/fs/bpf/bpfwarden/map_load_signatures"
	mostSignature  = 7936
	coversMap      = 1
	recordHeader   = 16
	ofThread       = unix.O_EXCL // PIDFD_THREAD
	numaNode       = 1 << 2      // BPF_F_NUMA_NODE
	sleepable      = 1 << 4      // BPF_F_SLEEPABLE
	arrayMap       = 2
	syscallProgram = 31
)

// Of the loader's context (bpf/skel_internal.h): its header, what there is of each map and program.
const (
	contextSize = 4096
	headerPlace = 24
	mapPlace    = 16
	progPlace   = 4
)

// union bpf_attr as Linux 6.18 and later have it, by offsets.
type attr struct {
	bytes [168]byte
	pins  runtime.Pinner
}

func (a *attr) set32(at int, value uint32) { binary.NativeEndian.PutUint32(a.bytes[at:], value) }

func (a *attr) point(at int, to []byte) {
	a.pins.Pin(&to[0])
	binary.NativeEndian.PutUint64(a.bytes[at:], uint64(uintptr(unsafe.Pointer(&to[0]))))
}

func (a *attr) call(command uintptr) (int, error) {
	result, _, code := unix.Syscall(unix.SYS_BPF, command, uintptr(unsafe.Pointer(a)), unsafe.Sizeof(a.bytes))
	a.pins.Unpin()
	if code != 0 {
		return -1, code
	}
	return int(result), nil
}

func number(value uint32) []byte { return binary.NativeEndian.AppendUint32(nil, value) }

// Whether bpf(2) has a place for signatures: what a kernel does not know has to be zero, whatever
// the command.
func hasPlace() bool {
	var ask attr
	ask.set32(164, 1) // keyring_id
	_, err := ask.call(unix.BPF_PROG_GET_NEXT_ID)
	return !errors.Is(err, unix.E2BIG)
}

func openSignatures() (int, error) {
	var open attr
	open.point(0, append([]byte(signatures), 0))
	held, err := open.call(unix.BPF_OBJ_GET)
	if errors.Is(err, unix.ENOENT) {
		err = unix.ENOPKG // no policy of bpfwarden's is active
	}
	return held, err
}

// Whether bpfwarden verifies what covers a map: it pins the map of signatures where it does.
func goesBeside() bool {
	held, err := openSignatures()
	if err == nil {
		unix.Close(held)
	}
	return err == nil || !hasPlace()
}

// The signature of this thread's next load. A load uses it up once bpf(2) gets as far as verifying
// it; who goes on after a failure before that takes it back, by BPF_MAP_DELETE_ELEM of the same key.
func offer(signature []byte, keyring int32) error {
	if len(signature) > mostSignature {
		return unix.E2BIG
	}
	var put attr
	held, err := openSignatures()
	if err != nil {
		return err
	}
	defer unix.Close(held)
	thread, err := unix.PidfdOpen(unix.Gettid(), ofThread)
	if err != nil {
		return err
	}
	defer unix.Close(thread)
	record := make([]byte, recordHeader+mostSignature)
	binary.NativeEndian.PutUint32(record, uint32(len(signature)))
	binary.NativeEndian.PutUint32(record[4:], uint32(keyring))
	binary.NativeEndian.PutUint32(record[8:], coversMap)
	copy(record[recordHeader:], signature)
	put.set32(0, uint32(held))
	put.point(8, number(uint32(thread)))
	put.point(16, record)
	_, err = put.call(unix.BPF_MAP_UPDATE_ELEM)
	return err
}

func sections(file []byte) (map[uint32][]byte, error) {
	found := map[uint32][]byte{}
	malformed := errors.New("this is no bundle")
	if !bytes.HasPrefix(file, []byte("\x89BPFW\r\n\x1a")) || len(file) < 16 {
		return nil, malformed
	}
	for file = file[16:]; len(file) >= 16; {
		size := binary.LittleEndian.Uint64(file[8:])
		padded := (size + 7) / 8 * 8
		if size > uint64(len(file)) || padded > uint64(len(file)-16) {
			return nil, malformed
		}
		found[binary.LittleEndian.Uint32(file)] = file[16 : 16+size]
		file = file[16+padded:]
	}
	for kind := uint32(manifestSection); kind <= signatureSection; kind++ {
		if len(found[kind]) == 0 {
			return nil, errors.New("this is no signed bundle of a loader")
		}
	}
	return found, nil
}

// For the loader alone, filled, frozen.
func makeMap(instructions, metadata []byte) (int, error) {
	var create, fill, freeze attr
	create.set32(0, arrayMap)
	create.set32(4, 4) // the key
	create.set32(8, uint32(len(metadata)))
	create.set32(12, 1)
	if hasPlace() {
		hash := sha256.Sum256(instructions)
		create.point(80, bytes.Clone(hash[:])) // excl_prog_hash
		create.set32(88, sha256.Size)
	}
	if goesBeside() {
		create.set32(16, numaNode)
	}
	made, err := create.call(unix.BPF_MAP_CREATE)
	if err != nil {
		return -1, err
	}
	fill.set32(0, uint32(made))
	fill.point(8, number(0))
	fill.point(16, metadata)
	if _, err := fill.call(unix.BPF_MAP_UPDATE_ELEM); err != nil {
		return -1, err
	}
	freeze.set32(0, uint32(made))
	_, err = freeze.call(unix.BPF_MAP_FREEZE)
	return made, err
}

func loadOnce(bundle map[uint32][]byte, metadata int, keyring int32) (int, error) {
	var load attr
	load.set32(0, syscallProgram)
	load.set32(4, uint32(len(bundle[instructionsSection])/8))
	load.point(8, bundle[instructionsSection])
	load.point(16, []byte("Dual BSD/GPL\x00"))
	load.set32(44, sleepable)
	load.point(120, number(uint32(metadata))) // fd_array
	if !goesBeside() {
		load.set32(148, 1) // fd_array_cnt
		load.point(152, bundle[signatureSection])
		load.set32(160, uint32(len(bundle[signatureSection])))
		load.set32(164, uint32(keyring))
	} else if err := offer(bundle[signatureSection], keyring); err != nil {
		return -1, err
	}
	return load.call(unix.BPF_PROG_LOAD)
}

// Again, while too many others are verified or somebody looks at the map.
func load(bundle map[uint32][]byte, metadata int, keyring int32) (int, error) {
	for tries := 100; ; tries-- {
		loader, err := loadOnce(bundle, metadata, keyring)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EBUSY) || tries == 0 {
			return loader, err
		}
		pause := unix.Timespec{Nsec: 10_000_000}
		_ = unix.Nanosleep(&pause, nil)
	}
}

// It makes the maps and loads the programs; returns their descriptors.
func run(loader int, manifest []byte) ([]int, error) {
	var names struct{ Maps, Programs []any }
	if err := json.Unmarshal(manifest, &names); err != nil {
		return nil, err
	}
	if len(names.Maps) > 64 || len(names.Programs) > 32 {
		return nil, errors.New("more than a loader has")
	}
	var test attr
	context := make([]byte, contextSize)
	binary.NativeEndian.PutUint32(context, contextSize)
	test.set32(0, uint32(loader))
	test.set32(40, contextSize)
	test.point(48, context)
	if _, err := test.call(unix.BPF_PROG_RUN); err != nil {
		return nil, err
	}
	if result := int32(binary.NativeEndian.Uint32(test.bytes[4:])); result < 0 {
		return nil, unix.Errno(-result)
	}
	var programs []int
	at := headerPlace + len(names.Maps)*mapPlace
	for i := range names.Programs {
		programs = append(programs, int(binary.NativeEndian.Uint32(context[at+i*progPlace:])))
	}
	return programs, nil
}

func pin(programs []int, folder string) error {
	if err := unix.Mkdir(folder, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s: %w", folder, err)
	}
	for i, program := range programs {
		var object attr
		path := filepath.Join(folder, strconv.Itoa(i))
		object.point(0, append([]byte(path), 0))
		object.set32(8, uint32(program))
		if _, err := object.call(unix.BPF_OBJ_PIN); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Println(path)
	}
	return nil
}

func loadBundle(path string, keyring int32, folder string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// A signature is its thread's; and who runs a loader shares its descriptors with no other thread.
	// From here on the runtime's poller, which other threads wait for, does not know what is opened:
	// system calls only.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return err
	}
	bundle, err := sections(file)
	if err != nil {
		return err
	}
	metadata, err := makeMap(bundle[instructionsSection], bundle[metadataSection])
	if err != nil {
		return fmt.Errorf("the loader's map: %w", err)
	}
	loader, err := load(bundle, metadata, keyring)
	if err != nil {
		return fmt.Errorf("the signed loader: %w", err)
	}
	programs, err := run(loader, bundle[manifestSection])
	if err != nil {
		return fmt.Errorf("running the loader: %w", err)
	}
	return pin(programs, folder)
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: load_bundle BUNDLE KEYRING FOLDER")
		os.Exit(2)
	}
	keyring, err := strconv.ParseInt(os.Args[2], 0, 32)
	if err == nil {
		err = loadBundle(os.Args[1], int32(keyring), os.Args[3])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load_bundle:", err)
		os.Exit(1)
	}
}
