package plan

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"gatehouse/fault"
)

// Apply carries the plan out in the folders of the environments, by their names. Everything is checked first; then each file is put in
// its place by a rename. When one cannot be written, those before it are put back.
func (p *Plan) Apply(folders map[string]string) error {
	return p.carry(folders, File.Done)
}

// Undo takes the plan back.
func (p *Plan) Undo(folders map[string]string) error { return p.carry(folders, File.Undone) }

type placed struct {
	root      *os.Root
	name      string
	old       []byte
	fresh     []byte
	mode      fs.FileMode
	was, gone bool
}

func (p *Plan) carry(folders map[string]string, change func(File, []byte) ([]byte, error)) (err error) {
	var list []placed
	defer func() {
		for _, w := range list {
			w.root.Close()
		}
	}()
	for _, f := range p.Files {
		dir, ok := folders[f.Environment]
		if !ok {
			return fault.Bad("", "the folder of environment %q is not named", f.Environment)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return fault.New(fault.NotFound, "%s cannot be opened as a folder", dir).Because(err)
		}
		w := placed{root: root, name: filepath.FromSlash(f.Name), mode: 0o644}
		list = append(list, w)
		info, err := root.Lstat(w.name)
		switch {
		case err == nil && !info.Mode().IsRegular():
			return fault.New(fault.Conflict, "%s: %s is not a regular file, so it is not written", f.Environment, f.Name)
		case err == nil:
			w.was, w.mode = true, info.Mode().Perm()
			if w.old, err = root.ReadFile(w.name); err != nil {
				return fault.New(fault.NotFound, "%s: %s cannot be read", f.Environment, f.Name).Because(err)
			}
		case !errors.Is(err, fs.ErrNotExist):
			return fault.New(fault.NotFound, "%s: %s cannot be read", f.Environment, f.Name).Because(err)
		case f.Before != "":
			return fault.New(fault.Stale, "%s: %s is gone, so the plan does not fit; plan again", f.Environment, f.Name)
		}
		if w.fresh, err = change(f, w.old); err != nil {
			return err
		}
		w.gone = f.Before == "" && len(w.fresh) == 0
		list[len(list)-1] = w
	}
	for i, w := range list {
		if err := w.put(w.fresh, w.gone); err != nil {
			for j := i - 1; j >= 0; j-- {
				err = errors.Join(err, list[j].put(list[j].old, !list[j].was))
			}
			return fault.New(fault.Internal, "%s cannot be written; what was written before it is put back", w.name).Because(err)
		}
	}
	return nil
}

// put writes a file beside its place and renames it, so that nobody reads half of it.
func (w placed) put(text []byte, gone bool) error {
	if gone {
		if err := w.root.Remove(w.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if string(text) == string(w.old) && w.was && string(text) == string(w.fresh) {
		return nil
	}
	if dir := filepath.Dir(w.name); dir != "." {
		if err := w.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	beside := w.name + ".gatehouse-new"
	_ = w.root.Remove(beside) // of a run that was cut off
	f, err := w.root.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, w.mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = w.root.Rename(beside, w.name)
	}
	if err != nil {
		return errors.Join(err, w.root.Remove(beside))
	}
	return nil
}
