// One add of the array, with the check that every add has.
//
// exact = value + addend, in as many bits as it needs. `overflow` says that exact lies outside the signed range of
// ACC_BITS; `result` is what the register then takes: the low bits (SATURATE = 0) or the nearest bound (1).
//
// Timing: combinational.
module checked_add #(
    parameter int ACC_BITS = 24,
    parameter int ADDEND_BITS = 18,
    parameter int SATURATE = 1
) (
    input  wire signed [   ACC_BITS-1:0] value,
    input  wire signed [ADDEND_BITS-1:0] addend,
    output wire signed [   ACC_BITS-1:0] result,
    output wire                          overflow
);
  localparam int EXACT_BITS = 1 + (ACC_BITS > ADDEND_BITS ? ACC_BITS : ADDEND_BITS);

  wire signed [EXACT_BITS-1:0] exact =
      {{(EXACT_BITS - ACC_BITS) {value[ACC_BITS-1]}}, value} +
      {{(EXACT_BITS - ADDEND_BITS) {addend[ADDEND_BITS-1]}}, addend};

  // in range exactly if all bits from the accumulator's sign bit upwards agree
  wire [EXACT_BITS-ACC_BITS:0] top = exact[EXACT_BITS-1:ACC_BITS-1];
  assign overflow = (|top) && !(&top);

  wire negative = exact[EXACT_BITS-1];
  wire signed [ACC_BITS-1:0] bound = {negative, {(ACC_BITS - 1) {!negative}}};
  assign result = (overflow && SATURATE != 0) ? bound : exact[ACC_BITS-1:0];
endmodule
