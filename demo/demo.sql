SELECT e2i_version();
