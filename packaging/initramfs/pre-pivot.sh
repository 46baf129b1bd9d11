#!/bin/sh
# dracut: the last step before the real root.
/usr/lib/bpfwarden/initramfs/activate
