package memory

// Edit changes what the NAS holds, on disk and running, from outside the engine:
// as a person at a control panel does, or another vendor's own firmware. What
// change refuses changes nothing.
func (st *Store) Edit(op string, change func(*State) error) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	stored, err := st.load()
	if err != nil {
		return err
	}
	if err := change(&stored); err != nil {
		return err
	}
	if err := st.save(op, stored); err != nil {
		return err
	}
	st.running = stored.clone()
	return nil
}
